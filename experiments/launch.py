"""Trains on uneven processes of this machine: `python -m experiments.launch --help`."""

import contextlib
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from absl import flags

from experiments.flags import config_from_flags, define_flags, fail, parse_flags, parse_own_flags
from experiments.follower import Follower
from experiments.restarts import Restarts, Team, keep_running
from experiments.sameness import EXACT_SCHEMES
from experiments.slowdown import Slowdown, parse_slowdown
from experiments.watch import Watch
from hsi_jax.errors import InputError
from hsi_jax.hetero.placement import Placement, place
from hsi_jax.hetero.profile import Profile, parse_profile
from hsi_jax.hetero.throttle import Throttle
from hsi_jax.hetero.workers import (
    Terminated,
    Worker,
    WorkerError,
    Workers,
    available_cores,
    free_port,
    terminable,
)

# One thread each: with more, the processes of a core would not be slower in proportion.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
NO_RESTARTS = Restarts()
SET_HERE = ("coordinator", "num_processes", "process_id")

_USAGE = """\
Trains with one process for each device on this machine, and makes them really uneven.

  python -m experiments.launch --profile=2:1:1 -- --dataset=salinas_a --data_dir=DIR
  python -m experiments.launch --profile=1:1 --slowdown=1:3:100:200 -- --scheme=adaptive
  python -m experiments.launch --profile=2:1:1 --max_restarts=3 --elastic -- --epochs=100

What follows -- are flags of experiments.run. Each process has one thread and is pinned to a core.
The fastest has a core to itself where they suffice; the others are suspended and resumed,
from when the data are read, so that each has its part of a core's time. Ctrl-C lets them finish.
"""


def run_command(
    run_flags: Sequence[str], coordinator: str, num_processes: int, process_id: int
) -> tuple[str, ...]:
    """The command of one process of a run."""
    place_in_cluster = (
        f"--coordinator={coordinator}",
        f"--num_processes={num_processes}",
        f"--process_id={process_id}",
    )
    return (sys.executable, "-m", "experiments.run", *run_flags, *place_in_cluster)


def launch(
    profile: Profile,
    slowdowns: Sequence[Slowdown],
    run_flags: Sequence[str],
    workdir: Path,
    log_dir: str = "",
    restarts: Restarts = NO_RESTARTS,
    command: Callable[..., tuple[str, ...]] = run_command,
) -> None:
    """Runs one process for each device of the profile, as fast as the profile says.

    Args:
        profile: the devices; only their speeds count.
        slowdowns: what happens to them at certain steps.
        run_flags: flags of every process.
        workdir: the run's folder, whose metrics.jsonl tells the step.
        log_dir: folder of the logs, or "" for a temporary one.
        restarts: what to do when a process dies.
        command: makes a process's command; see `run_command`.

    Raises:
        InputError: if the processes cannot be placed; WorkerError if one fails once too often.
    """
    team = Team(profile, tuple(slowdowns), tuple(run_flags))
    with _log_folder(log_dir) as logs:

        def start(team, number):
            folder = logs / f"restart{number}" if number else logs
            folder.mkdir(exist_ok=True)
            _start(team, workdir, folder, command)

        keep_running(start, team, workdir, restarts)


def _start(team: Team, workdir: Path, logs: Path, command: Callable[..., tuple[str, ...]]) -> None:
    """Runs a team's processes to their end and prints what became of their speeds."""
    cores = available_cores()
    placements = place(team.profile.speeds, cores)
    of_ranks = [placement.core for placement in placements] + [cores[-1]] * team.onlooker
    coordinator = f"127.0.0.1:{free_port()}"
    workers = [
        Worker(
            command(list(team.run_flags), coordinator, len(of_ranks), rank),
            ENVIRONMENT,
            core,
            logs / f"rank{rank}.log",
        )
        for rank, core in enumerate(of_ranks)
    ]
    metrics = Follower(workdir / "metrics.jsonl", skip=True)
    with Workers(workers) as running, contextlib.ExitStack() as stack:
        throttle = Throttle(running.processes[: len(placements)], placements)
        watch = Watch(Follower(workers[0].log), metrics, throttle, stack, team.slowdowns)
        try:
            running.wait(watch)
        finally:
            watch.show()
    if not watch.throttled:
        raise InputError(
            f"the processes ended without writing {workdir / 'metrics.jsonl'}, so they were "
            f"never throttled; let them write it before what is to be measured"
        )
    print(describe(team.profile, placements, throttle))


def describe(profile: Profile, placements: Sequence[Placement], throttle: Throttle) -> str:
    """A table of the speeds asked for and of those realised, as means over time."""
    rows = [f"{'rank':>4}{'core':>6}{'speed asked':>14}{'realised':>11}{'part of its core':>19}"]
    for rank, placement in enumerate(placements):
        speed_of_core = profile.speeds[rank] / placement.fraction
        asked, realised = throttle.asked[rank], throttle.realised[rank]
        rows.append(
            f"{rank:>4}{placement.core:>6}{asked * speed_of_core:>14.3f}"
            f"{realised * speed_of_core:>11.3f}{realised:>19.1%}"
        )
    note = "Realised: by CPU time, over the time in which a process did not wait for others."
    return "\n".join(["", *rows, note])


@contextlib.contextmanager
def _log_folder(log_dir: str) -> Iterator[Path]:
    """The folder of the logs; a temporary one is removed unless something fails."""
    try:
        folder = Path(log_dir or tempfile.mkdtemp(prefix="hsi_jax-launch-"))
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--log_dir={log_dir} cannot be written: {error}") from None
    try:
        yield folder
    except BaseException:
        print(f"The logs of all processes are in {folder}", file=sys.stderr)
        raise
    if not log_dir:
        shutil.rmtree(folder)


def parse(argv: list[str]) -> tuple[Profile, list[Slowdown], list[str], Path, str, Restarts]:
    """The arguments of `launch` that a command line asks for.

    Raises:
        InputError: on a value that cannot be used, the launcher's or the run's.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    own = _own_flags()
    run_flags = parse_own_flags(own, argv, help_text)
    if own.profile is None:
        raise InputError("--profile is missing; give speeds, such as --profile=2:1:1")
    profile = parse_profile(own.profile)
    slowdowns = [parse_slowdown(text, len(profile)) for text in own.slowdown]
    run_flags, workdir = _parse_run_flags(run_flags, len(profile), own.elastic)
    restarts = Restarts(own.max_restarts, own.elastic)
    return profile, slowdowns, run_flags, workdir, own.log_dir, restarts


def _parse_run_flags(
    run_flags: list[str], num_processes: int, elastic: bool
) -> tuple[list[str], Path]:
    """The flags of each process, in which --workdir is never missing, and that folder."""
    parse_flags(["experiments.run", *run_flags])
    for name in SET_HERE:
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} after --: the launcher sets it; leave it out")
    flags.FLAGS.coordinator = "127.0.0.1:0"
    flags.FLAGS.num_processes = num_processes
    flags.FLAGS.process_id = 0
    config = config_from_flags()
    if elastic and config.scheme not in EXACT_SCHEMES:
        raise InputError(
            f"--elastic: with --scheme={config.scheme} fewer devices train to another result; "
            f"choose one of {', '.join(EXACT_SCHEMES)}"
        )
    if config.workdir:
        return run_flags, Path(config.workdir)
    workdir = config.choose_workdir()
    return [*run_flags, f"--workdir={workdir}"], Path(workdir)


def _own_flags() -> flags.FlagValues:
    own = flags.FlagValues()
    flags.DEFINE_string(
        "profile",
        None,
        "speeds such as 2:1:1, a preset or a .json file: a process for each device. Only their "
        "speeds count, and the run measures them itself, unless it has a --profile of its own",
        flag_values=own,
    )
    flags.DEFINE_multi_string(
        "slowdown",
        [],
        "rank:factor:at_step[:until]: slow a process by a factor from one step on, until another",
        flag_values=own,
    )
    flags.DEFINE_string(
        "log_dir",
        "",
        "folder of the processes' logs; by default a temporary one, kept only after a failure",
        flag_values=own,
    )
    flags.DEFINE_integer(
        "max_restarts",
        0,
        "how often to start again from the newest sound checkpoint when a process dies",
        lower_bound=0,
        flag_values=own,
    )
    flags.DEFINE_bool(
        "elastic",
        False,
        "start again without the process that died; the others measure their speeds anew",
        flag_values=own,
    )
    return own


def help_text() -> str:
    """How to use the program, and its flags."""
    own = _own_flags()
    described = (
        textwrap.fill(
            " ".join(own[name].help.split()),
            98,
            initial_indent=f"  --{name:<14}",
            subsequent_indent=" " * 18,
        )
        for name in ("profile", "slowdown", "log_dir", "max_restarts", "elastic")
    )
    return "\n".join([_USAGE, *described])


def main(argv: list[str]) -> None:
    """Launches what the flags say."""
    define_flags()
    try:
        with terminable():
            launch(*parse(argv))
    except WorkerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except InputError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted before the run was finished", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Terminated:
        print("error: SIGTERM came before the run was finished", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv)
