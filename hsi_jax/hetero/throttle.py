"""Makes processes really uneven on one machine: each is held to a part of a core's time."""

import contextlib
import itertools
import math
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from hsi_jax.errors import InputError
from hsi_jax.hetero.placement import Placement

TICK_SECONDS = 0.002
TICKS_PER_COUNT = 100  # counting reads a file for each thread
SAVED_SECONDS = 0.005  # about a time slice of the kernel, in which another may hold the core
MOST_SECONDS = 1.0  # so that a pause of the launcher has no long effect


def limits(placements: Sequence[Placement]) -> list[float]:
    """The part of its core that each process must be held to; 1 where the kernel sees to it.

    The kernel gives the busy processes of a core the same time, so those whose equal fractions
    fill a core are left alone. While one of them waits, the others do get its time.
    """
    fractions = defaultdict(list)
    for placement in placements:
        fractions[placement.core].append(placement.fraction)
    shared_evenly = {
        core
        for core, parts in fractions.items()
        if math.isclose(min(parts), max(parts)) and math.isclose(sum(parts), 1.0)
    }
    return [1.0 if p.core in shared_evenly else p.fraction for p in placements]


class Throttle:
    """Holds processes to their fraction of a core's time, by suspending and resuming them.

    It works in a thread while inside `with`, and leaves all processes running. The processes must
    be pinned to the cores of their placements; those that have ended do no harm. Only the process
    itself is suspended, not those that it has started. Linux only.

    A process runs until it has used more CPU time than its fraction allows, and is then suspended
    for as long as its device would still have been at work: some milliseconds. One that waits for
    others is not suspended, so that it answers at once. (With fixed turns instead, each message of
    a collective waits for its receiver's turn: on two busy cores, a small step of five processes as
    8:4:2:1:1 took at least 160 ms with turns in 20 ms, and about 30 ms like this.)

    Work shorter than about 50 ms is faster or slower by chance; time more of it at once.
    """

    def __init__(self, processes: Sequence[psutil.Process], placements: Sequence[Placement]):
        self._processes = list(processes)
        self._unslowed = list(placements)
        self._placements = list(placements)
        self._parts = limits(self._placements)
        self._brakes: list[_Brake] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="throttle", daemon=True)

    def __enter__(self) -> "Throttle":
        self._brakes = [_Brake(process) for process in self._processes]
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join()

    def set_slowdown(self, rank: int, factor: float) -> None:
        """Slows one process by a factor from now on; 1 ends its slowdown.

        Raises:
            InputError: if there is no such rank, or the factor is not at least 1 and finite.
        """
        if not 0 <= rank < len(self._processes):
            raise InputError(f"no rank {rank} to slow down; give 0 to {len(self._processes) - 1}")
        if not 1 <= factor < math.inf:
            raise InputError(f"slowdown {factor:g} of rank {rank}; give a factor >= 1")
        unslowed = self._unslowed[rank]
        self._placements[rank] = replace(unslowed, fraction=unslowed.fraction / factor)
        self._parts = limits(self._placements)

    @property
    def asked(self) -> list[float]:
        """Part of a core that each process should have had while it had work, as mean over time.

        NaN for one that was never seen to have any.
        """
        return [brake.asked for brake in self._brakes]

    @property
    def realised(self) -> list[float]:
        """Part of a core that each process did have while it had work, as mean over time.

        It is measured: CPU time over the time in which the process ran, was suspended, or stood in
        the kernel's queue for its core, be it behind other programs. Time in which it waited for
        something else, such as another process, does not count.
        """
        return [brake.realised for brake in self._brakes]

    def _work(self) -> None:
        last = time.perf_counter()
        try:
            for tick in itertools.count(1):
                # Where nobody is to be held, it only counts, and leaves the cores alone meanwhile.
                holds = min(self._parts) < 1
                if self._stop.wait(TICK_SECONDS * (1 if holds else TICKS_PER_COUNT)):
                    break
                now = time.perf_counter()
                self._hold(now - last, not holds or tick % TICKS_PER_COUNT == 0)
                last = now
        finally:
            for brake in self._brakes:
                brake.release()

    def _hold(self, seconds: float, count: bool) -> None:
        processes = zip(self._brakes, self._placements, self._parts, strict=True)
        for brake, placement, part in processes:
            with contextlib.suppress(OSError):  # it has ended
                brake.hold(part, seconds)
                if count:
                    brake.count(placement.fraction)


class _Brake:
    """Holds one process to a part of a core, and counts what it had."""

    def __init__(self, process: psutil.Process):
        self._process = process
        self._runs = True
        self._pause = 0.0  # how long it must not run; below 0, what it has saved up
        self._lost = 0.0  # time that it was allowed and did not use
        self._used = self._suspended = 0.0
        self._counted = (0.0, 0.0, 0.0, 0.0)
        self._asked_total = self._used_total = self._busy_total = 0.0
        with contextlib.suppress(OSError):
            self._used = _used_seconds(process.pid)
            self._counted = self._totals()

    @property
    def asked(self) -> float:
        return self._asked_total / self._busy_total if self._busy_total else math.nan

    @property
    def realised(self) -> float:
        return self._used_total / self._busy_total if self._busy_total else math.nan

    def hold(self, part: float, seconds: float) -> None:
        """Suspends or resumes the process by what it used in the last `seconds`."""
        used = _used_seconds(self._process.pid)
        pause = self._pause + (used - self._used) / part - seconds
        self._used = used
        if self._runs:  # what it could have used and did not is lost
            kept = max(pause, min(self._pause, -SAVED_SECONDS))
            self._lost += kept - pause
            pause = kept
        else:
            self._suspended += seconds
        self._pause = min(max(pause, -MOST_SECONDS), MOST_SECONDS)
        self._let_run(part == 1 or self._pause <= 0)

    def count(self, fraction: float) -> None:
        """Brings the totals up to date with the time since the last call."""
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
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.resume() if runs else self._process.suspend()

    def _totals(self) -> tuple[float, float, float, float]:
        queued = _queued_seconds(self._process.pid)
        return self._used, queued, self._suspended, time.perf_counter()


def _used_seconds(pid: int) -> float:
    """CPU time of a process, to the microsecond; that of psutil comes in steps of 10 ms."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3), as Linux defines it


def _queued_seconds(pid: int) -> float:
    """Time in which the threads of a process could have run, but another had the core."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[1]) for stat in stats) * 1e-9
