"""Makes processes really uneven on one machine: each is held to a part of a core's time."""

import contextlib
import itertools
import math
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import psutil

from hsi_jax.errors import InputError
from hsi_jax.launch.cpu_limit import CpuLimit, LimitableProcess
from hsi_jax.launch.placement import Placement

TICK_SECONDS = 0.002
TICKS_PER_COUNT = 100  # counting reads a file for each thread


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

    A process runs until it has used more CPU time than its fraction allows. Then it is suspended
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
        self._cpu_limits: list[CpuLimit] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="throttle", daemon=True)

    def __enter__(self) -> "Throttle":
        self._cpu_limits = [CpuLimit(LimitableProcess(process)) for process in self._processes]
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
            raise InputError(f"`rank`={rank}: give 0 to {len(self._processes) - 1}")
        if not 1 <= factor < math.inf:
            raise InputError(f"`factor`={factor:g}: give a finite number of at least 1")
        unslowed = self._unslowed[rank]
        self._placements[rank] = replace(unslowed, fraction=unslowed.fraction / factor)
        self._parts = limits(self._placements)

    @property
    def parts(self) -> list[float]:
        """The part of its core that each process is held to now; 1 if it is not held."""
        return list(self._parts)

    @property
    def asked(self) -> list[float]:
        """Part of a core that each process should have had while it had work, as mean over time.

        NaN for a process that never had any.
        """
        return [cpu_limit.asked for cpu_limit in self._cpu_limits]

    @property
    def realised(self) -> list[float]:
        """Part of a core that each process had while it had work, as mean over time.

        It is measured: CPU time divided by the time in which the process ran, was suspended, or
        stood in the kernel's queue for its core, also behind other programs. Time in which it
        waited for something else, such as another process, does not count.
        """
        return [cpu_limit.realised for cpu_limit in self._cpu_limits]

    def _work(self) -> None:
        last = time.perf_counter()
        try:
            for tick in itertools.count(1):
                # Where no process is to be held, it only counts, and leaves the cores alone.
                holds = min(self._parts) < 1
                if self._stop.wait(TICK_SECONDS * (1 if holds else TICKS_PER_COUNT)):
                    break
                now = time.perf_counter()
                self._hold(now - last, not holds or tick % TICKS_PER_COUNT == 0)
                last = now
        finally:
            for cpu_limit in self._cpu_limits:
                cpu_limit.release()

    def _hold(self, seconds: float, count: bool) -> None:
        processes = zip(self._cpu_limits, self._placements, self._parts, strict=True)
        for cpu_limit, placement, part in processes:
            with contextlib.suppress(OSError):  # it has ended
                cpu_limit.hold(part, seconds)
                if count:
                    cpu_limit.count(placement.fraction)
