"""Trains on uneven processes of this machine: `python -m experiments.launch --help`."""

import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.command_line import (
    check_options,
    define_flags,
    fail,
    help_text,
    option,
    parse_command,
)
from experiments.config import Config
from experiments.run_flags import parse_run
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.hetero import SCHEMES, find_scheme
from hsi_jax.hetero.profile import Profile, parse_profile
from hsi_jax.launch.monitor import Monitor
from hsi_jax.launch.placement import Placement, place
from hsi_jax.launch.restarts import Restarts, Team, keep_running
from hsi_jax.launch.slowdown import Slowdown, parse_slowdown
from hsi_jax.launch.tail import Tail
from hsi_jax.launch.throttle import Throttle
from hsi_jax.launch.workers import (
    Terminated,
    Worker,
    WorkerError,
    Workers,
    available_cores,
    free_port,
    terminable,
)
from hsi_jax.run.lock import remove_empty

# One thread each: with more, the processes of a core would not be slower in proportion.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
NO_RESTARTS = Restarts()
SET_HERE = ("coordinator", "num_processes", "process_id")

USAGE = """\
Trains with one process for each device on this machine, and makes them really uneven.

  python -m experiments.launch --profile=2:1:1 -- --dataset=salinas_a --data_dir=DIR
  python -m experiments.launch --profile=1:1 --slowdown=1:3:100:200 -- --scheme=adaptive
  python -m experiments.launch --profile=2:1:1 --max_restarts=3 --elastic -- --epochs=100

What follows -- are flags of experiments.run. Each process has one thread and is pinned to a core.
The fastest has a core to itself where they suffice; the others are suspended and resumed,
from when the data are read, so that each has its part of a core's time. Ctrl-C lets them finish.
"""


@dataclass(frozen=True)
class LaunchOptions:
    """The launcher's own options; what follows -- goes to the runs.

    Raises:
        InputError: on a value that cannot be used.
    """

    profile: str | None = option(
        "Launch",
        None,
        "speeds such as 2:1:1, a preset or a .json file: a process for each device. Only their "
        "speeds count, and the run measures them itself, unless it has a --profile of its own",
        kind=str,
        path=True,
    )
    slowdown: tuple[str, ...] = option(
        "Launch",
        (),
        "rank:factor:at_step[:until]: slow a process by a factor from one step on, until another; "
        "may be given several times",
        kind=list,
    )
    log_dir: str = option(
        "Launch",
        "",
        "folder of the processes' logs; by default a temporary one, kept only after a failure",
        path=True,
    )
    max_restarts: int = option(
        "Launch",
        0,
        "how often to start again from the newest sound checkpoint when a process dies",
        at_least=0,
    )
    elastic: bool = option(
        "Launch",
        False,
        "start again without the process that died; the others measure their speeds anew",
    )

    def __post_init__(self):
        check_options(self)
        if self.profile is None:
            raise InputError("--profile is missing; give speeds, such as --profile=2:1:1")


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


@dataclass(frozen=True)
class Launch:
    """What is to be launched.

    Attributes:
        profile: the devices; only their speeds count.
        run_flags: flags of every process.
        workdir: the run's folder, whose metrics.jsonl tells the step.
        slowdowns: what happens to the processes at certain steps.
        log_dir: folder of the logs, or "" for a temporary one.
        restarts: what to do when a process dies.
        fresh: whether the folder was made for this.
    """

    profile: Profile
    run_flags: tuple[str, ...]
    workdir: Path
    slowdowns: tuple[Slowdown, ...] = ()
    log_dir: str = ""
    restarts: Restarts = NO_RESTARTS
    fresh: bool = False


def launch(asked: Launch, command: Callable[..., tuple[str, ...]] = run_command) -> None:
    """Runs one process for each device of the profile, as fast as the profile says.

    Args:
        asked: the processes and what may happen to them.
        command: makes a process's command; see `run_command`.

    Raises:
        InputError: if the processes cannot be placed.
        LostWorkerError: if one fails once too often.
    """
    team = Team(asked.profile, asked.slowdowns)
    with _log_folder(asked.log_dir) as logs:

        def start(team: Team, number: int) -> None:
            folder = logs / f"restart{number}" if number else logs
            folder.mkdir(exist_ok=True)
            flags = (f"--{name}={value}" for name, value in team.options.items())
            _start(team, (*asked.run_flags, *flags), asked.workdir, folder, command)

        try:
            keep_running(start, team, asked.workdir, asked.restarts)
        finally:
            if asked.fresh:
                remove_empty(asked.workdir)  # it was made for a run that has not begun


def _start(
    team: Team,
    run_flags: Sequence[str],
    workdir: Path,
    logs: Path,
    command: Callable[..., tuple[str, ...]],
) -> None:
    """Runs a team's processes to their end and prints what became of their speeds."""
    cores = available_cores()
    placements = place(team.profile.speeds, cores)
    of_ranks = [placement.core for placement in placements] + [cores[-1]] * team.idle_process
    coordinator = f"127.0.0.1:{free_port()}"
    workers = [
        Worker(
            command(run_flags, coordinator, len(of_ranks), rank),
            ENVIRONMENT,
            core,
            logs / f"rank{rank}.log",
        )
        for rank, core in enumerate(of_ranks)
    ]
    metrics = Tail(workdir / "metrics.jsonl", skip=True)
    with Workers(workers) as running, contextlib.ExitStack() as stack:
        throttle = Throttle(running.processes[: len(placements)], placements)
        monitor = Monitor(
            Tail(workers[0].log),
            metrics,
            throttle=throttle,
            stack=stack,
            slowdowns=team.slowdowns,
        )
        try:
            running.wait(monitor)
        finally:
            monitor.show()
    if not monitor.throttled:
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


def parse(argv: Sequence[str]) -> Launch:
    """What a command line asks for; the run that it launches is checked as well.

    Raises:
        InputError: on a value that cannot be used, the launcher's or the run's.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    options, run_flags = parse_command(argv, LaunchOptions, launch_help)
    from experiments.resolve import resolve  # here, because --help does without JAX

    profile = parse_profile(options.profile)
    slowdowns = tuple(parse_slowdown(text, len(profile)) for text in options.slowdown)
    config = parse_run(run_flags, SET_HERE)
    resolve(config, in_cluster=True)
    if options.elastic and not find_scheme(config.scheme).exact:
        exact = ", ".join(name for name, scheme in SCHEMES.items() if scheme.exact)
        raise InputError(
            f"--elastic: with --scheme={config.scheme} fewer devices train to another result; "
            f"choose one of {exact}"
        )
    workdir = config.choose_workdir()
    if not config.workdir:
        run_flags.append(f"--workdir={workdir}")
    return Launch(
        profile=profile,
        run_flags=tuple(run_flags),
        workdir=Path(workdir),
        slowdowns=slowdowns,
        log_dir=options.log_dir,
        restarts=Restarts(options.max_restarts, options.elastic),
        fresh=not config.workdir,
    )


def launch_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, LaunchOptions)


def main(argv: list[str]) -> None:
    """Launches what the flags say."""
    define_flags(Config)
    try:
        asked = parse(argv)
        with terminable():
            launch(asked)
    except WorkerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted before the run was finished", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Terminated:
        print("error: SIGTERM came before the run was finished", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv)
