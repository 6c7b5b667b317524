"""Trains on uneven processes of this machine: `python -m experiments.launch --help`."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.command_line import fail, help_text, parse_command, parse_options
from hsi_jax.commands.predict import PredictOptions, predict_help
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.hetero.profile import parse_profile
from hsi_jax.launch.launching import Launch, launch
from hsi_jax.launch.map_launching import MapLaunch, launch_map
from hsi_jax.launch.mpirun import find_mpirun
from hsi_jax.launch.restarts import Restarts
from hsi_jax.launch.slowdown import parse_slowdown
from hsi_jax.launch.workers import Terminated, WorkerError, terminable
from hsi_jax.options import check_options, option
from hsi_jax.run.tile_store import tiles_of
from hsi_jax.session.device_options import DeviceOptions
from hsi_jax.session.flags import parse_run

PREDICT = "predict"
SET_HERE = ("coordinator", "num_processes", "process_id")

USAGE = """\
Trains with one process for each device on this machine, and makes them really uneven.

  python -m experiments.launch --profile=2:1:1 -- --dataset=salinas_a --data_dir=DIR
  python -m experiments.launch --profile=1:1 --slowdown=1:3:100:200 -- --scheme=adaptive
  python -m experiments.launch --profile=2:1:1 --elastic --max_restarts=3 -- --epochs=100
  python -m experiments.launch --profile=2:1:1 -- predict --run=RUN --output=map.tif

What follows -- are flags of experiments.run, or predict and flags of experiments.predict. Each
process has one thread and is pinned to a core. The fastest has a core to itself where they suffice;
the others are suspended and resumed, from when the data are read or the first tile is made, so that
each has its part of a core's time. Ctrl-C lets trainings finish, and loses nothing of a map.
"""


@dataclass(frozen=True)
class LaunchOptions:
    """The launcher's own options; what follows -- goes to the runs.

    Raises:
        InputError: on a value that cannot be used.
    """

    profile: str | None = option(
        None,
        "speeds such as 2:1:1, a preset or a .json file: a process for each device. Only their "
        "speeds count, and the run measures them itself, unless it has a --profile of its own",
        kind=str,
        path=True,
        heading="Launch",
    )
    slowdown: tuple[str, ...] = option(
        (),
        "rank:factor:at_step[:until]: slow a process by a factor from one step on, until another; "
        "may be given several times",
        kind=list,
        heading="Launch",
    )
    log_dir: str = option(
        "",
        "folder of the processes' logs; by default a temporary one, kept only after a failure",
        path=True,
        heading="Launch",
    )
    max_restarts: int = option(
        0,
        "how often to start again from the newest sound checkpoint when a process dies",
        at_least=0,
        heading="Launch",
    )
    elastic: bool = option(
        False,
        "go on without a process that dies: with Open MPI 5 (python -m pip install -e '.[mpi]') "
        "the others finish its work, and only if all die they start again; without it, or with "
        "--engine=jax after the --, they start again and measure their speeds anew",
        heading="Launch",
    )

    def __post_init__(self):
        check_options(self)
        if self.profile is None:
            raise InputError("`profile` is missing; give speeds, such as `profile`=2:1:1")


def parse(argv: Sequence[str]) -> Launch | MapLaunch:
    """What a command line asks for; the run, or map, that it launches is checked as well.

    Raises:
        InputError: on a value that cannot be used, the launcher's or the run's.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    asked, run_flags = parse_command(argv, LaunchOptions, launch_help)
    if run_flags[:1] == [PREDICT]:
        return map_launch(asked, run_flags[1:])
    # Here, because --help does without JAX.
    from hsi_jax.session.resolve import resolve
    from hsi_jax.session.setup import workdir_of

    profile = parse_profile(asked.profile or "")
    slowdowns = tuple(parse_slowdown(text, len(profile)) for text in asked.slowdown)
    options = parse_run(run_flags, SET_HERE)
    resolve(options, in_cluster=True)
    mpirun = _choose_mpirun(options.devices, asked)
    starts_again = asked.elastic and (asked.max_restarts or not mpirun)
    if starts_again and not SCHEMES.find(options.devices.scheme).exact:
        exact = ", ".join(name for name, scheme in SCHEMES.items() if scheme.exact)
        raise InputError(
            f"`elastic`: with `scheme`={options.devices.scheme} fewer devices train to another "
            f"result; choose one of {exact}"
        )
    workdir = workdir_of(options)
    if not options.output.workdir:
        run_flags.append(f"--workdir={workdir}")
    return Launch(
        profile=profile,
        run_flags=tuple(run_flags),
        workdir=Path(workdir),
        slowdowns=slowdowns,
        log_dir=asked.log_dir,
        restarts=Restarts(asked.max_restarts, asked.elastic),
        mpirun=mpirun,
        fresh=not options.output.workdir,
    )


def map_launch(asked: LaunchOptions, flags: Sequence[str]) -> MapLaunch:
    """A map as processes are to make it.

    Raises:
        InputError: on a value that cannot be used, or that goes with trainings alone.
    """
    options = parse_options(["launch", *flags], PredictOptions, predict_help)
    if asked.slowdown or asked.max_restarts or asked.elastic:
        raise InputError(
            "--slowdown, --max_restarts and --elastic go with trainings; a map goes on without the "
            "processes that are lost, and the same command goes on with what is unfinished"
        )
    command = (sys.executable, "-m", "hsi_jax", PREDICT, *flags)
    profile = parse_profile(asked.profile or "")
    return MapLaunch(profile, command, lambda: tiles_of(Path(options.output)), asked.log_dir)


def _choose_mpirun(devices: DeviceOptions, asked: LaunchOptions) -> str | None:
    """The mpirun by which the processes survive losses; None for those of the jax engine."""
    engine = devices.engine
    if engine == "auto" and (not asked.elastic or devices.reduce == "device"):
        engine = "jax"
    program = None if engine == "jax" else find_mpirun()
    needs = "Open MPI 5 and mpi4py; python -m pip install -e '.[mpi]'"
    if engine == "mpi" and not program:
        raise InputError(f"`engine`=mpi needs {needs}, or give `engine`=jax")
    if asked.elastic and not program and not asked.max_restarts:
        raise InputError(f"`elastic` needs `max_restarts`, or, to do without one, {needs}")
    return program


def launch_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, LaunchOptions)


def main(argv: list[str]) -> None:
    """Launches what the flags say."""
    try:
        asked = parse(argv)
        with terminable():
            launch_map(asked) if isinstance(asked, MapLaunch) else launch(asked)
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
