"""Starts the processes of a run again, from a checkpoint, when one of them dies."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path

from hsi_jax.hetero.profile import Profile
from hsi_jax.launch.slowdown import Slowdown
from hsi_jax.launch.workers import WorkerError

MISTAKE = 2  # exit code of a run that was asked for something impossible, or that diverged
MAX_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Restarts:
    """How often to start again, and with which processes.

    Attributes:
        max_restarts: after which it gives up.
        elastic: without the process that died, instead of with all.
        pause: seconds before the first restart; doubled for each further one, up to a minute.
    """

    max_restarts: int = 0
    elastic: bool = False
    pause: float = 1.0


@dataclass(frozen=True)
class WorkerGroup:
    """The processes of one start.

    Attributes:
        profile: their devices; only their speeds count.
        slowdowns: of processes at certain steps.
        options: options of the run, as text by their names, that differ from those of the user.
        idle_process: whether one more process takes part, without work. XLA compiles in another
            way for one device than for several, so the last process alone would end in other bits.
    """

    profile: Profile
    slowdowns: tuple[Slowdown, ...] = ()
    _: KW_ONLY
    options: Mapping[str, str] = field(default_factory=dict)
    idle_process: bool = False

    def without(self, rank: int) -> "WorkerGroup":
        """The group without the process that died; the others measure their speeds again.

        The last process with work stays. The idle one can be lost: the next start has one again.
        """
        if len(self.profile) == 1:
            return self
        devices = tuple(d for i, d in enumerate(self.profile.devices) if i != rank)
        slowdowns = tuple(
            replace(slowdown, rank=slowdown.rank - (slowdown.rank > rank))
            for slowdown in self.slowdowns
            if slowdown.rank != rank
        )
        alone = len(devices) == 1
        options = {**self.options, "profile": "1:0" if alone else "measured"}
        if alone:
            options["devices_per_process"] = "1"
        profile = replace(self.profile, devices=devices)
        return WorkerGroup(profile, slowdowns, options=options, idle_process=alone)

    def resumed(self) -> "WorkerGroup":
        """The same group, which goes on from the newest checkpoint."""
        return replace(self, options={**self.options, "overwrite": "false", "resume": "true"})


def keep_running(
    start: Callable[[WorkerGroup, int], None], group: WorkerGroup, workdir: Path, restarts: Restarts
) -> None:
    """Starts a group, and starts again when one of its processes dies, until a start ends well.

    A start goes on from the newest sound checkpoint, or from the beginning if there is none. A
    mistake of the user's, and a training that diverges, would only happen again: they are not
    tried twice.

    Args:
        start: runs the group to its end; gets the number of starts before.
        group: of the first start.
        workdir: the run's folder.
        restarts: how often, and with which processes.

    Raises:
        WorkerError: of the last start, if all have failed.
    """
    config = workdir / "config.json"
    first = stamp(config)
    for number in range(restarts.max_restarts + 1):
        try:
            return start(group, number)
        except WorkerError as error:
            if error.exit_code == MISTAKE:
                raise
            if number == restarts.max_restarts:
                if restarts.max_restarts:
                    print(f"Giving up after {restarts.max_restarts} restarts.", file=sys.stderr)
                raise
            print(f"Lost: {str(error).partition(';')[0]}", file=sys.stderr, flush=True)
            if restarts.elastic:
                group = group.without(error.rank)
        # Until the run has written its folder, the options of the user are the right ones.
        if stamp(config) != first:
            group = group.resumed()
        _pause(number, restarts, len(group.profile))


def _pause(number: int, restarts: Restarts, at_work: int) -> None:
    """Says that the processes are started again, and waits before it."""
    seconds = min(restarts.pause * 2**number, MAX_PAUSE_SECONDS)
    print(
        f"Restart {number + 1} of {restarts.max_restarts} in {seconds:g} s, with {at_work} "
        f"processes at work",
        file=sys.stderr,
        flush=True,
    )
    time.sleep(seconds)


def stamp(path: Path) -> tuple[int, ...] | None:
    """Changes whenever the file is written again."""
    if not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
