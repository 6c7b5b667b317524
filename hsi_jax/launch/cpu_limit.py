"""Limits one process to a part of a core's time, and counts the time it used."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil

SAVED_SECONDS = 0.005  # about a time slice of the kernel, in which another may have the core
MAX_SECONDS = 1.0  # so that a pause of the launcher has no long effect


class Limitable(Protocol):
    """A process that can be held; times are s since it began."""

    def used_seconds(self) -> float:
        """CPU time that it used."""
        ...

    def queued_seconds(self) -> float:
        """Time in which it could have run, but another had the core."""
        ...

    def suspend(self) -> None:
        """Stops it until `resume`."""
        ...

    def resume(self) -> None:
        """Lets it run."""
        ...


class LimitableProcess:
    """A process of this machine that can be held. Linux only."""

    def __init__(self, process: psutil.Process):
        self._process = process

    def used_seconds(self) -> float:
        """CPU time, to the microsecond; that of psutil comes in steps of 10 ms.

        Raises:
            OSError: if the process has ended.
        """
        # clock_getcpuclockid(3), as Linux defines it
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def queued_seconds(self) -> float:
        """Time in which its threads could have run, but another had the core.

        Raises:
            OSError: if the process has ended.
        """
        stats = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(stat.read_text().split()[1]) for stat in stats) * 1e-9

    def suspend(self) -> None:
        """Stops it, unless it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.suspend()

    def resume(self) -> None:
        """Lets it run, unless it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.resume()


class CpuLimit:
    """Holds one process to a part of a core, and counts what it had.

    Args:
        process: to hold; one that has ended is left alone.
        clock: gives the time in seconds.
    """

    def __init__(self, process: Limitable, clock: Callable[[], float] = time.perf_counter):
        self._process = process
        self._clock = clock
        self._runs = True
        self._pause = 0.0  # how long it must not run; below 0, what it has saved up
        self._lost = 0.0  # time that it was allowed and did not use
        self._used = self._suspended = 0.0
        self._counted = (0.0, 0.0, 0.0, 0.0)
        self._asked_total = self._used_total = self._busy_total = 0.0
        with contextlib.suppress(OSError):
            self._used = process.used_seconds()
            self._counted = self._totals()

    @property
    def asked(self) -> float:
        """Part of a core that it should have had while it had work; NaN if it never had any."""
        return self._asked_total / self._busy_total if self._busy_total else math.nan

    @property
    def realised(self) -> float:
        """Part of a core that it had while it had work; NaN if it never had any."""
        return self._used_total / self._busy_total if self._busy_total else math.nan

    def hold(self, part: float, seconds: float) -> None:
        """Suspends or resumes the process, by what it used in the last `seconds`.

        Args:
            part: of the core's time that it may have; at 1 it is never suspended.
            seconds: since the last call.

        Raises:
            OSError: if the process has ended.
        """
        used = self._process.used_seconds()
        pause = self._pause + (used - self._used) / part - seconds
        self._used = used
        if self._runs:  # what it could have used and did not is lost
            kept = max(pause, min(self._pause, -SAVED_SECONDS))
            self._lost += kept - pause
            pause = kept
        else:
            self._suspended += seconds
        self._pause = min(max(pause, -MAX_SECONDS), MAX_SECONDS)
        self._let_run(part == 1 or self._pause <= 0)

    def count(self, fraction: float) -> None:
        """Adds the time since the last call to the totals.

        Args:
            fraction: part of a core that the process should have had in this time.

        Raises:
            OSError: if the process has ended.
        """
        totals = self._totals()
        used, queued, suspended, seconds = (
            max(0.0, new - old) for new, old in zip(totals, self._counted, strict=True)
        )
        self._counted = totals
        # Given back: what it lost not by waiting but because another had the core.
        self._pause -= min(self._lost, queued)
        self._lost = 0.0
        # A process that is suspended while in the queue stays there until its turn.
        busy = min(used + queued + suspended, seconds)
        self._used_total += used
        self._busy_total += busy
        self._asked_total += fraction * busy

    def release(self) -> None:
        """Lets the process run."""
        self._let_run(True)

    def _let_run(self, runs: bool) -> None:
        if runs == self._runs:
            return
        self._runs = runs
        if runs:
            self._process.resume()
        else:
            self._process.suspend()

    def _totals(self) -> tuple[float, float, float, float]:
        queued = self._process.queued_seconds()
        return self._used, queued, self._suspended, self._clock()
