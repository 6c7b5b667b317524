"""Runs the processes of one run on this machine, as fast as a profile says."""

import contextlib
import functools
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import Profile
from hsi_jax.launch.monitor import Monitor, Tail
from hsi_jax.launch.mpi_workers import MpiWorkers
from hsi_jax.launch.placement import Placement, place
from hsi_jax.launch.restarts import Restarts, WorkerGroup, keep_running
from hsi_jax.launch.slowdown import Slowdown
from hsi_jax.launch.throttle import Throttle, limits
from hsi_jax.launch.workers import Worker, Workers, available_cores, free_port
from hsi_jax.run.lock import remove_empty

# One thread each: with more, the processes of a core would not be slower in proportion.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
PATIENCE = "HSI_JAX_PATIENCE"  # as of hsi_jax.cluster.processes
NO_RESTARTS = Restarts()


def run_command(
    run_flags: Sequence[str], coordinator: str, num_processes: int, process_id: int
) -> tuple[str, ...]:
    """The command of one process of a run; without a coordinator, that of all under mpirun."""
    place_in_cluster = (
        f"--coordinator={coordinator}",
        f"--num_processes={num_processes}",
        f"--process_id={process_id}",
    )
    if not coordinator:
        place_in_cluster = ()
    return (sys.executable, "-m", "hsi_jax", "run", *run_flags, *place_in_cluster)


@dataclass(frozen=True)
class Launch:
    """What is to be launched.

    Attributes:
        profile: the devices; only their speeds count.
        run_flags: flags of every process.
        workdir: the run's folder, whose metrics.jsonl tells the step.
        slowdowns: what happens to the processes at certain steps.
        log_dir: folder of the logs, or "" for a temporary one.
        restarts: what to do when a process dies, or all that mpirun has started.
        mpirun: program that starts the processes so that they survive losses, or None.
        fresh: whether the folder was made for this.
    """

    profile: Profile
    run_flags: tuple[str, ...]
    workdir: Path
    slowdowns: tuple[Slowdown, ...] = ()
    log_dir: str = ""
    restarts: Restarts = NO_RESTARTS
    mpirun: str | None = None
    fresh: bool = False


@dataclass(frozen=True)
class Speeds:
    """The speeds of processes, as means over time, in the unit of the profile.

    Attributes:
        asked: for each process, slowdowns included, [processes].
        realised: by CPU time, over the time in which a process did not wait for others,
            [processes]; NaN for one that never had work.
    """

    asked: tuple[float, ...]
    realised: tuple[float, ...]


def launch(asked: Launch, command: Callable[..., tuple[str, ...]] = run_command) -> Speeds:
    """Runs one process for each device of the profile, as fast as the profile says.

    Returns:
        The speeds of the last start.

    Args:
        asked: the processes and what may happen to them.
        command: makes a process's command; see `run_command`.

    Raises:
        InputError: if the processes cannot be placed.
        LostWorkerError: if one fails once too often.
    """
    group, speeds = WorkerGroup(asked.profile, asked.slowdowns), Speeds((), ())
    with log_folder(asked.log_dir) as logs:

        def start(group: WorkerGroup, number: int) -> None:
            nonlocal speeds
            folder = logs / f"restart{number}" if number else logs
            folder.mkdir(exist_ok=True)
            flags = (f"--{name}={value}" for name, value in group.options.items())
            run_flags = (*asked.run_flags, *flags)
            own = functools.partial(command, run_flags)
            placements = place(group.profile.speeds, available_cores())
            workers, log = _prepare(asked, group, placements, command=own, logs=folder)
            speeds = _start(group, placements, workers, log=log, workdir=asked.workdir)

        try:
            keep_running(start, group, asked.workdir, asked.restarts)
        finally:
            if asked.fresh:
                remove_empty(asked.workdir)  # it was made for a run that has not begun
    return speeds


def _prepare(
    asked: Launch,
    group: WorkerGroup,
    placements: Sequence[Placement],
    *,
    command: Callable[..., tuple[str, ...]],
    logs: Path,
) -> tuple[Workers, Path]:
    """A group's processes, which are still to be started, and the log of what is to be shown."""
    idle = [available_cores()[-1]] * group.idle_process
    cores = [placement.core for placement in placements] + idle
    environment = ENVIRONMENT | {PATIENCE: str(patience(placements, group.slowdowns))}
    if asked.mpirun:
        log = logs / "all_ranks.log"
        workers = MpiWorkers(
            asked.mpirun,
            command("", len(cores), 0),
            environment=environment,
            cores=cores,
            log=log,
            result=asked.workdir / "summary.json",
        )
        return workers, log
    coordinator = f"127.0.0.1:{free_port()}"
    workers = [
        Worker(
            command(coordinator, len(cores), rank),
            environment,
            core,
            logs / f"rank{rank}.log",
        )
        for rank, core in enumerate(cores)
    ]
    return Workers(workers), workers[0].log


def _start(
    group: WorkerGroup,
    placements: Sequence[Placement],
    workers: Workers,
    *,
    log: Path,
    workdir: Path,
) -> Speeds:
    """Runs a group's processes to their end; prints and returns what became of their speeds."""
    metrics = Tail(workdir / "metrics.jsonl", skip=True)
    with workers as running, contextlib.ExitStack() as stack:
        throttle = Throttle(running.processes[: len(placements)], placements)
        output, slowdowns = Tail(log), group.slowdowns
        monitor = Monitor(output, metrics, throttle=throttle, stack=stack, slowdowns=slowdowns)
        try:
            running.wait(monitor)
        finally:
            monitor.show()
    if not monitor.throttled:  # as of a finished run that is resumed
        print("No step was taken, so no process was slowed.")
        return Speeds((), ())
    speeds = speeds_of(group.profile, placements, throttle)
    print(describe(speeds, placements, throttle))
    return speeds


def patience(placements: Sequence[Placement], slowdowns: Sequence[Slowdown] = ()) -> int:
    """How many times as long as usual a process may give no sign of life before it counts as lost.

    One with less than a tenth of a core gives none while it compiles.
    """
    slowest = min(limits(placements)) / max((slowdown.factor for slowdown in slowdowns), default=1)
    return math.ceil(max(1.0, 0.1 / slowest))


def speeds_of(profile: Profile, placements: Sequence[Placement], throttle: Throttle) -> Speeds:
    """The speeds of throttled processes, in the unit of their profile."""
    of_cores = [s / p.fraction for s, p in zip(profile.speeds, placements, strict=True)]
    asked, realised = (
        tuple(part * speed for part, speed in zip(parts, of_cores, strict=True))
        for parts in (throttle.asked, throttle.realised)
    )
    return Speeds(asked, realised)


def describe(speeds: Speeds, placements: Sequence[Placement], throttle: Throttle) -> str:
    """A table of the speeds asked for and of those realised, as means over time."""
    rows = [f"{'rank':>4}{'core':>6}{'speed asked':>14}{'realised':>11}{'part of its core':>19}"]
    for rank, placement in enumerate(placements):
        rows.append(
            f"{rank:>4}{placement.core:>6}{speeds.asked[rank]:>14.3f}"
            f"{speeds.realised[rank]:>11.3f}{throttle.realised[rank]:>19.1%}"
        )
    note = "Realised: by CPU time, over the time in which a process did not wait for others."
    return "\n".join(["", *rows, note])


@contextlib.contextmanager
def log_folder(log_dir: str) -> Iterator[Path]:
    """The folder of the logs; a temporary one is removed unless something fails."""
    try:
        folder = Path(log_dir or tempfile.mkdtemp(prefix="hsi_jax-launch-"))
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`log_dir`={log_dir} cannot be written: {error}") from None
    try:
        yield folder
    except BaseException:
        print(f"The logs of all processes are in {folder}", file=sys.stderr)
        raise
    if not log_dir:
        shutil.rmtree(folder)
