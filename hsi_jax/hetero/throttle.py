"""Makes processes really uneven on one machine: each gets a fixed part of a core's time."""

import contextlib
import itertools
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from hsi_jax.errors import InputError

PERIOD_SECONDS = 0.02
MOST_OWED = 10  # periods: what a long pause of this process would otherwise leave to make up for
BISECTIONS = 20  # of the capacity, to a millionth


@dataclass(frozen=True)
class Placement:
    """Where a process runs, and for how much of the time.

    Attributes:
        core: number of the CPU.
        fraction: part of that core's time, above 0 and at most 1.
    """

    core: int
    fraction: float


def place(speeds: Sequence[float], cores: Sequence[int]) -> list[Placement]:
    """Gives each process a core and a part of its time, in proportion to the speeds.

    The fastest gets a whole core where all of them fit, by first-fit decreasing bin packing: the
    least number of cores is filled, so that like processes share one. Where they do not fit, all
    fractions are lowered by the same factor, which MULTIFIT keeps small (Coffman, Garey and
    Johnson, "An application of bin-packing to multiprocessor scheduling", SIAM J. Comput. 1978).

    Args:
        speeds: of the processes, [processes], in any unit.
        cores: numbers of the CPUs that may be used.

    Returns:
        One placement for each process; fractions on a core sum to at most 1.

    Raises:
        InputError: if a speed is not above 0 and finite, or if there are no speeds or no cores.
    """
    for speed in speeds:
        if not 0 < speed < math.inf:
            raise InputError(f"a process of speed {speed:g} cannot be placed; give speeds above 0")
    if not speeds or not cores:
        raise InputError(f"{len(speeds)} processes on {len(cores)} cores; give at least one each")
    sizes = [speed / max(speeds) for speed in speeds]
    bins = _multifit(sizes, len(cores))
    loads = [0.0] * len(cores)
    for size, bin_ in zip(sizes, bins, strict=True):
        loads[bin_] += size
    scale = max(1.0, *loads)
    return [Placement(cores[b], size / scale) for size, b in zip(sizes, bins, strict=True)]


def _multifit(sizes: Sequence[float], num_bins: int) -> list[int]:
    """The bin of each item, for about the least capacity >= 1 at which all fit."""
    bins = _first_fit_decreasing(sizes, num_bins, 1.0)
    if bins is not None:
        return bins
    low, high, bins = 1.0, sum(sizes), [0] * len(sizes)
    for _ in range(BISECTIONS):
        capacity = (low + high) / 2
        fitting = _first_fit_decreasing(sizes, num_bins, capacity)
        if fitting is None:
            low = capacity
        else:
            high, bins = capacity, fitting
    return bins


def _first_fit_decreasing(
    sizes: Sequence[float], num_bins: int, capacity: float
) -> list[int] | None:
    """The bin of each item, or None if they do not fit."""
    free = [capacity * (1 + 1e-9)] * num_bins  # a third three times is one
    bins = [0] * len(sizes)
    for item in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        fitting = (b for b in range(num_bins) if sizes[item] <= free[b])
        bins[item] = next(fitting, None)
        if bins[item] is None:
            return None
        free[bins[item]] -= sizes[item]
    return bins


def timetable(
    placements: Sequence[Placement], owed: Sequence[float]
) -> list[tuple[float, bool, int]]:
    """When to suspend and resume each process within one period.

    The processes of a core run one after the other, each alone for its fraction of the period, and
    then the core idles. So a process that waits does not lend its time to another, and a device is
    as slow as it should be whatever the others do. If equal fractions fill a core, its processes
    run all the time, because the kernel shares it fairly; one that waits then does lend its time.

    Args:
        placements: of the processes, [processes].
        owed: what each had too little (or, below 0, too much) so far, [processes], in periods.

    Returns:
        (time as a part of the period, whether it runs from then on, process), sorted.
    """
    by_core = defaultdict(list)
    for rank, placement in enumerate(placements):
        by_core[placement.core].append(rank)
    switches = []
    for ranks in by_core.values():
        if _fill_evenly([placements[rank].fraction for rank in ranks]):
            switches += [(0.0, True, rank) for rank in ranks]
            continue
        end = 0.0
        for rank in ranks:
            start, end = end, min(1.0, end + max(0.0, placements[rank].fraction + owed[rank]))
            switches += _slot(start, end, rank)
    # At a handover the next process is resumed first, so that the core is never left idle.
    return sorted(switches, key=lambda switch: (switch[0], not switch[1]))


def _slot(start: float, end: float, rank: int) -> list[tuple[float, bool, int]]:
    """The switches of a process that runs between two parts of the period, and at no other time.

    What lasts to the end of a period goes on until the next one hands over.
    """
    if start >= end:
        return [(0.0, False, rank)]
    switches = [(0.0, False, rank)] if start > 0.0 else []
    switches.append((start, True, rank))
    return [*switches, (end, False, rank)] if end < 1.0 else switches


def _fill_evenly(fractions: Sequence[float]) -> bool:
    return math.isclose(min(fractions), max(fractions)) and math.isclose(sum(fractions), 1.0)


class Throttle:
    """Suspends and resumes processes so that each has its fraction of a core's time.

    It works in a thread while inside `with`, and leaves all processes running. The processes must
    be pinned to the cores of their placements; those that have ended do no harm. Only the process
    itself is suspended, not those that it has started.

    A process can wait up to a period for its turn, so whatever processes do together takes up to
    that much longer; a switch costs about 0.05 ms and can come some tenths of a millisecond late.
    """

    def __init__(
        self,
        processes: Sequence[psutil.Process],
        placements: Sequence[Placement],
        period: float = PERIOD_SECONDS,
    ):
        """Prepares; nothing is suspended before `with`.

        Args:
            processes: to be throttled, [processes].
            placements: of each, [processes]; see `place`.
            period: seconds in which each process has its turn once.
        """
        self._processes = list(processes)
        self._fastest = list(placements)
        self._placements = list(placements)
        self._period = period
        self._runs = [True] * len(self._processes)
        self._asked = [0.0] * len(self._processes)
        self._granted = [0.0] * len(self._processes)
        self._owed = [0.0] * len(self._processes)
        self._elapsed = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="throttle", daemon=True)

    def __enter__(self) -> "Throttle":
        self._last = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join()

    def set_slowdown(self, rank: int, factor: float) -> None:
        """Slows one process by a factor from the next period on; 1 ends its slowdown.

        Raises:
            InputError: if there is no such rank, or the factor is not at least 1 and finite.
        """
        if not 0 <= rank < len(self._processes):
            raise InputError(f"no rank {rank} to slow down; give 0 to {len(self._processes) - 1}")
        if not 1 <= factor < math.inf:
            raise InputError(f"slowdown {factor:g} of rank {rank}; give a factor >= 1")
        fastest = self._fastest[rank]
        self._placements[rank] = replace(fastest, fraction=fastest.fraction / factor)

    @property
    def asked(self) -> list[float]:
        """Part of a core's time that each process should have had, slowdowns included."""
        return [seconds / self._elapsed for seconds in self._asked]

    @property
    def realised(self) -> list[float]:
        """Part of a core's time in which each process was allowed to run.

        It says nothing of whether the process had work then. Processes that run at the same time
        on one core count as sharing it equally.
        """
        return [seconds / self._elapsed for seconds in self._granted]

    def _work(self) -> None:
        start = time.perf_counter()
        try:
            while not self._stop.is_set():
                for offset, runs, rank in timetable(self._placements, self._owed):
                    self._sleep_until(start + offset * self._period)
                    self._switch(rank, runs)
                self._sleep_until(start + self._period)
                self._count()
                # After a pause of the whole machine, periods missed are not made up for.
                start = max(start, time.perf_counter() - self._period) + self._period
        finally:
            for rank in range(len(self._processes)):
                self._switch(rank, True)

    def _sleep_until(self, moment: float) -> None:
        self._stop.wait(max(0.0, moment - time.perf_counter()))

    def _switch(self, rank: int, runs: bool) -> None:
        if runs == self._runs[rank]:
            return
        self._count()
        self._runs[rank] = runs
        with contextlib.suppress(psutil.NoSuchProcess):
            process = self._processes[rank]
            process.resume() if runs else process.suspend()

    def _count(self) -> None:
        """Brings the accounts up to date with the time since the last call."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        self._elapsed += seconds
        running = Counter(
            self._placements[rank].core
            for rank in itertools.compress(range(len(self._runs)), self._runs)
        )
        for rank, placement in enumerate(self._placements):
            asked = seconds * placement.fraction
            granted = seconds / running[placement.core] if self._runs[rank] else 0.0
            self._asked[rank] += asked
            self._granted[rank] += granted
            owed = self._owed[rank] + (asked - granted) / self._period
            self._owed[rank] = min(MOST_OWED, max(-MOST_OWED, owed))
