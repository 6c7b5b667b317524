"""Where uneven processes run: their cores, and each one's part of a core's time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hsi_jax.errors import InputError

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

    The fastest gets a whole core if all of them fit, by first-fit decreasing bin packing: as few
    cores as possible are filled, so that like processes share one. If they do not fit, all
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
            raise InputError(
                f"`speeds`: a process of speed {speed:g} cannot be placed; give speeds above 0"
            )
    if not speeds or not cores:
        raise InputError(
            f"`speeds`: {len(speeds)} processes on {len(cores)} cores; give at least one of each"
        )
    sizes = [speed / max(speeds) for speed in speeds]
    bins = _multifit(sizes, len(cores))
    loads = [0.0] * len(cores)
    for size, bin_ in zip(sizes, bins, strict=True):
        loads[bin_] += size
    scale = max(1.0, *loads)
    return [Placement(cores[b], size / scale) for size, b in zip(sizes, bins, strict=True)]


def _multifit(sizes: Sequence[float], num_bins: int) -> list[int]:
    """The bin of each item, for about the smallest capacity >= 1 at which all fit."""
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
        first = next((b for b in range(num_bins) if sizes[item] <= free[b]), None)
        if first is None:
            return None
        bins[item] = first
        free[first] -= sizes[item]
    return bins
