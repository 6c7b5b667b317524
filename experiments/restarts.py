"""What `experiments.launch` does when a process dies: it starts again, from a checkpoint."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.slowdown import Slowdown
from hsi_jax.hetero.profile import Profile
from hsi_jax.hetero.workers import WorkerError

MISTAKE = 2  # exit code of a run that was asked for something impossible, or that diverged
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Restarts:
    """How often to start again, and with whom.

    Attributes:
        most: restarts before giving up.
        elastic: without the process that died, instead of with all.
        pause: seconds before the first restart; doubled for each further one, up to a minute.
    """

    most: int = 0
    elastic: bool = False
    pause: float = 1.0


@dataclass(frozen=True)
class Team:
    """The processes of one start.

    Attributes:
        profile: their devices; only their speeds count.
        slowdowns: what happens to them at certain steps.
        run_flags: flags of every process.
        onlooker: whether one more process takes part, without work. XLA compiles for one device by
            another way than for several, so the last one left would end in other bits alone.
    """

    profile: Profile
    slowdowns: tuple[Slowdown, ...]
    run_flags: tuple[str, ...]
    onlooker: bool = False

    def without(self, rank: int) -> "Team":
        """Those who are left when one has died; they measure their speeds anew.

        The last one stays, and an onlooker is nobody's loss.
        """
        if len(self.profile) == 1:
            return self
        devices = tuple(d for i, d in enumerate(self.profile.devices) if i != rank)
        slowdowns = tuple(
            replace(slowdown, rank=slowdown.rank - (slowdown.rank > rank))
            for slowdown in self.slowdowns
            if slowdown.rank != rank
        )
        onlooker = len(devices) == 1
        speeds = "1:0" if onlooker else "measured"
        flags = (*self.run_flags, f"--profile={speeds}")
        return Team(replace(self.profile, devices=devices), slowdowns, flags, onlooker)


def keep_running(
    start: Callable[[Team, int], None], team: Team, workdir: Path, restarts: Restarts
) -> None:
    """Starts a team, and starts again when a process of it dies, until a start ends well.

    A start goes on from the newest sound checkpoint, or begins anew where there is none. A mistake
    of the user's, and a training that diverges, would be met again and are not tried twice.

    Args:
        start: runs the team to its end; told how many starts there were before.
        team: who begins.
        workdir: the run's folder.
        restarts: how often, and with whom.

    Raises:
        WorkerError: of the last start, if all have failed.
    """
    config = workdir / "config.json"
    first = _stamp(config)
    for number in range(restarts.most + 1):
        try:
            return start(team, number)
        except WorkerError as error:
            if error.exit_code == MISTAKE:
                raise
            if number == restarts.most:
                if restarts.most:
                    print(f"Giving up after {restarts.most} restarts.", file=sys.stderr)
                raise
            print(f"Lost: {str(error).partition(';')[0]}", file=sys.stderr, flush=True)
            if restarts.elastic:
                team = team.without(error.rank)
        # Until the run has written its folder, the flags it was given are the right ones.
        if _stamp(config) != first and "--resume=true" not in team.run_flags:
            flags = (*team.run_flags, "--overwrite=false", "--resume=true")
            team = replace(team, run_flags=flags)
        pause = min(restarts.pause * 2**number, LONGEST_PAUSE)
        print(
            f"Restart {number + 1} of {restarts.most} in {pause:g} s, with "
            f"{len(team.profile)} processes at work",
            file=sys.stderr,
            flush=True,
        )
        time.sleep(pause)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Changes whenever the file is written anew."""
    if not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
