"""Runs one map by uneven processes of this machine; it goes on without those that are lost."""

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from hsi_jax.hetero.profile import Profile
from hsi_jax.launch.launching import ENVIRONMENT, Speeds, describe, log_folder, speeds_of
from hsi_jax.launch.monitor import Tail
from hsi_jax.launch.placement import Placement, place
from hsi_jax.launch.restarts import MISTAKE
from hsi_jax.launch.throttle import Throttle
from hsi_jax.launch.workers import (
    POLL_SECONDS,
    Worker,
    WorkerError,
    Workers,
    available_cores,
    last_lines,
)


@dataclass(frozen=True)
class MapLaunch:
    """A map, or the maps of many scenes, that processes are to make together.

    Attributes:
        profile: the devices; only their speeds count.
        command: program and arguments, the same for all: processes find each other by the folder.
        tiles: gives how many tiles are made, and how many there are to be as far as is known.
        log_dir: folder of the logs, or "" for a temporary one.
    """

    profile: Profile
    command: tuple[str, ...]
    tiles: Callable[[], tuple[int, int]]
    log_dir: str = ""


def launch_map(asked: MapLaunch) -> Speeds:
    """Runs a process for each device of the profile, as fast as it says once there is a tile.

    A process that is lost is told, and the others make its tiles.

    Returns:
        The speeds, none where the map was finished before the processes were slowed.

    Raises:
        InputError: if the processes cannot be placed.
        WorkerError: on a mistake of the user's, which all processes make; or if all are lost.
    """
    placements = place(asked.profile.speeds, available_cores())
    with log_folder(asked.log_dir) as logs, contextlib.ExitStack() as stack:
        workers = [_worker(asked, placements, rank, logs) for rank in range(len(placements))]
        running = [stack.enter_context(Workers([worker])) for worker in workers]
        throttle = Throttle([each.processes[0] for each in running], placements)
        begun = _watch(asked, workers, running, throttle=throttle, stack=stack)
        _tell_shares(workers)
        if not begun:
            return Speeds((), ())
        speeds = speeds_of(asked.profile, placements, throttle)
        print(describe(speeds, placements, throttle))
        return speeds


def _worker(asked: MapLaunch, placements: Sequence[Placement], rank: int, logs: Path) -> Worker:
    """A process that knows its number, by the variables of torchrun."""
    count = str(len(placements))
    numbers = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    sizes = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    environment = ENVIRONMENT | numbers | sizes
    return Worker(asked.command, environment, placements[rank].core, logs / f"rank{rank}.log")


def _watch(
    asked: MapLaunch,
    workers: Sequence[Worker],
    running: Sequence[Workers],
    *,
    throttle: Throttle,
    stack: contextlib.ExitStack,
) -> bool:
    """Waits until all have ended or are lost; whether they were throttled."""
    output, begun = Tail(workers[0].log), False
    at_work, lost = dict(enumerate(running)), []
    bar = stack.enter_context(tqdm(unit="tile", desc="map", disable=None))
    while at_work:
        for line in output.read_lines():
            tqdm.write(line)
        made, bar.total = asked.tiles()
        bar.update(max(0, made - bar.n))
        if made and not begun:
            stack.enter_context(throttle)
            begun = True
        for rank in list(at_work):
            try:
                if at_work[rank].poll():
                    del at_work[rank]
            except WorkerError as error:
                lost.append(WorkerError(rank, error.exit_code, workers[rank].log))
                del at_work[rank]
                if error.exit_code == MISTAKE or len(lost) == len(running):
                    raise lost[-1] from None
                told = str(lost[-1]).partition(";")[0]
                print(f"Lost: {told}; the others make its tiles", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)
    for line in output.read_lines():
        tqdm.write(line)
    return begun


def _tell_shares(workers: Sequence[Worker]) -> None:
    """Prints what each process says that it has made."""
    for rank, worker in enumerate(workers):
        for line in last_lines(worker.log).splitlines():
            if rank and line.startswith("Predicted here"):
                print(f"rank {rank}: {line}")
