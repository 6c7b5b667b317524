"""Measured speeds: how long a device takes for n microbatches, and the profile from these times."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hsi_jax.hetero.profile import Device, Profile

MICROBATCHES_PER_DEVICE = 4  # coarser shares cannot follow speeds well
NEAR_TIE = 0.03  # throughputs this near to the best, relatively, count as equal to it


@dataclass(frozen=True)
class Timing:
    """What was measured of one device: t(n) = fixed_cost + n * per_microbatch.

    Attributes:
        fixed_cost: seconds of a step whatever its microbatches, >= 0.
        per_microbatch: seconds of one microbatch, > 0.
        spread: median absolute deviation of the repeats from their median, relative to it.
    """

    fixed_cost: float
    per_microbatch: float
    spread: float


def time_calls(
    call: Callable[[int], object],
    sizes: Sequence[int],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """Times call(n) for every size n, after one untimed call of each.

    All sizes are timed once before any is timed again, so that a drift hits them alike.

    Args:
        call: does the work of n microbatches and returns when it is done; under JAX it must
            block (`jax.block_until_ready`), or only the dispatch is timed.
        sizes: numbers of microbatches.
        repeats: timed calls of each size.
        clock: gives the time in seconds.

    Returns:
        Seconds, float64 [len(sizes), repeats].
    """
    for size in sizes:
        call(size)
    seconds = np.empty((len(sizes), repeats))
    for repeat in range(repeats):
        for row, size in enumerate(sizes):
            start = clock()
            call(size)
            seconds[row, repeat] = clock() - start
    return seconds


def fit_timing(sizes: Sequence[int], seconds: ArrayLike) -> Timing:
    """Fits t(n) = a + b n to measured times, with a >= 0 and b > 0.

    The median of each size is fitted by least squares of the relative errors, because timing noise
    grows with the time. Where that gives a < 0, a is 0 and b is fitted again; where it gives
    b <= 0, as when noise hides the work, a is 0 and b the median of t / n. The further apart the
    sizes, the surer the fit.

    Args:
        sizes: numbers of microbatches, [sizes], whole numbers >= 1, at least two different ones.
        seconds: what they took, float [sizes, repeats], as `time_calls` gives it.

    Raises:
        ValueError: if the sizes are too few or too small, or a time is not finite and positive.
    """
    numbers = np.asarray(sizes, float)
    seconds = np.asarray(seconds, float)
    if len(set(sizes)) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes are {list(sizes)}; give at least two different ones, all >= 1")
    if seconds.ndim != 2 or len(seconds) != len(sizes) or seconds.shape[1] < 1:
        raise ValueError(
            f"seconds have shape {seconds.shape}; give [{len(sizes)}, repeats] for {len(sizes)} "
            f"sizes, at least one repeat"
        )
    if not (np.isfinite(seconds) & (seconds > 0)).all():
        raise ValueError(f"seconds are {seconds.tolist()}; all must be finite and above 0")
    medians = np.median(seconds, axis=1)
    per_microbatch, fixed_cost = np.polyfit(numbers, medians, 1, w=1 / medians)
    if per_microbatch <= 0:
        fixed_cost, per_microbatch = 0.0, np.median(medians / numbers)
    elif fixed_cost < 0:
        paces = numbers / medians
        fixed_cost, per_microbatch = 0.0, paces.sum() / (paces**2).sum()
    spread = np.median(np.abs(seconds / medians[:, None] - 1))
    return Timing(float(fixed_cost), float(per_microbatch), float(spread))


def profile_of(timings: Sequence[Timing], names: Sequence[str]) -> Profile:
    """The profile of measured devices, in microbatches per second and seconds.

    Args:
        timings: one of each device, in the order of JAX's devices.
        names: the devices' names, in the same order.

    Raises:
        ValueError: if there are not as many names as timings.
    """
    devices = [
        Device(name, speed=1 / timing.per_microbatch, fixed_cost=timing.fixed_cost)
        for timing, name in zip(timings, names, strict=True)
    ]
    return Profile(tuple(devices), "measured", time_unit="s")


def choose_microbatch_size(throughputs: dict[int, float], batch_size: int, num_devices: int) -> int:
    """Chooses the microbatch size by measured throughputs.

    It is the fastest size among those that leave at least 4 microbatches for each device on
    average (batch_size >= 4 * num_devices * size). Among sizes within 3 % of the fastest the
    smallest is taken, because it makes shares finer. If no size leaves that many microbatches, the
    smallest size is taken.

    Args:
        throughputs: samples per second, summed over the devices, of each size measured.
        batch_size: samples of the global batch.
        num_devices: devices that share it.

    Raises:
        ValueError: if there is no throughput, or one is not finite and positive.
    """
    values = np.array(list(throughputs.values()))
    if not values.size or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"throughputs are {throughputs}; give one or more, finite and above 0")
    max_size = batch_size / (MICROBATCHES_PER_DEVICE * num_devices)
    fine = {size: value for size, value in throughputs.items() if size <= max_size}
    if not fine:
        return min(throughputs)
    enough = (1 - NEAR_TIE) * max(fine.values())
    return min(size for size, value in fine.items() if value >= enough)
