"""A step on paper: what a cluster would take and gain, by a model. Nothing here is measured.

A step is the slowest device's t(n) = fixed_cost + n / speed and then one all-reduce. The model
leaves out the update of the parameters, and that devices compete with each other: every pair of
processes has the network to itself (full bisection), and adding costs no more time than receiving.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hsi_jax.errors import InputError
from hsi_jax.hetero.partitioning import even_partition, partition
from hsi_jax.hetero.profile import Device, Profile

BYTES_PER_SUM = 4  # most exact sums travel as 32-bit numbers

_Cost = Callable[[int, float, float, float], float]


@dataclass(frozen=True)
class Network:
    """The cost of messages between devices: n bytes take latency + n / bandwidth.

    Attributes:
        latency: seconds, >= 0.
        bandwidth: bytes a second that one device sends while it receives as many, > 0.
        all_reduce: one of `ALL_REDUCES`, or "best" for the one of lowest cost.
        devices_per_process: devices whose sums are added in their process first, at no cost; it
            sends for all of them. >= 1.
    """

    latency: float
    bandwidth: float
    all_reduce: str = "best"
    devices_per_process: int = 1

    def __post_init__(self):
        if not 0 <= self.latency < math.inf:
            raise InputError(f"`latency`={self.latency:g}: give a finite number of seconds >= 0")
        if not 0 < self.bandwidth < math.inf:
            raise InputError(
                f"`bandwidth`={self.bandwidth:g}: give a finite number of bytes/s above 0"
            )
        if self.devices_per_process < 1:
            raise InputError(
                f"`devices_per_process`={self.devices_per_process}: give a whole number >= 1"
            )
        if self.all_reduce != "best" and self.all_reduce not in ALL_REDUCES:
            names = ", ".join(("best", *ALL_REDUCES))
            raise InputError(f"`all_reduce`={self.all_reduce}: choose one of {names}")

    def all_reduce_seconds(self, devices: int, size: float) -> float:
        """Modelled seconds until all devices have the sum of a vector of `size` bytes."""
        names = ALL_REDUCES if self.all_reduce == "best" else (self.all_reduce,)
        costs = (ALL_REDUCES[name] for name in names)
        processes = -(-devices // self.devices_per_process)
        return min(cost(processes, size, self.latency, self.bandwidth) for cost in costs)


def _ring(devices: int, size: float, latency: float, bandwidth: float) -> float:
    """Reduce-scatter and all-gather around a ring, which moves the fewest bytes.

    Patarasu and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
    J. Parallel Distrib. Comput. 2009.
    """
    messages = 2 * (devices - 1)
    return messages * (latency + size / devices / bandwidth)


def _doubling(devices: int, size: float, latency: float, bandwidth: float) -> float:
    """Recursive doubling: whole vectors between partners at distance 1, 2, 4 and so on.

    Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
    Int. J. High Perform. Comput. Appl. 2005. Devices beyond a power of two hand their vector to
    another first and get the sum last.
    """
    rounds = devices.bit_length() - 1
    rounds += 2 * (devices != 2**rounds)
    return rounds * (latency + size / bandwidth)


def _halving(devices: int, size: float, latency: float, bandwidth: float) -> float:
    """Rabenseifner's recursive halving and doubling, from the paper of `_doubling`."""
    rounds = devices.bit_length() - 1
    moved = 2 * size * (1 - 2.0**-rounds)
    beyond = 2 * (devices != 2**rounds)
    return (2 * rounds + beyond) * latency + (moved + beyond * size) / bandwidth


ALL_REDUCES: dict[str, _Cost] = {"ring": _ring, "doubling": _doubling, "halving": _halving}


@dataclass(frozen=True)
class ModelledStep:
    """A step as modelled, with shares by speed (`balanced`) and with equal ones (`even`).

    Times are in seconds. Utilisation is the part of all devices' time in which they compute: the
    sum of t(n) over the devices that have work, divided by the number of all devices and by the
    time of the step. The values of even shares are NaN where a memory cap forbids such shares.
    """

    devices: int
    microbatches: int
    modelled_all_reduce_seconds: float
    modelled_balanced_step_seconds: float
    modelled_even_step_seconds: float
    modelled_gain: float  # time of even shares / time of balanced ones
    modelled_balanced_utilisation: float
    modelled_even_utilisation: float


def model_step(
    profile: Profile, microbatches: int, microbatch_size: int, *, size: int, network: Network
) -> ModelledStep:
    """Models a step of a cluster.

    Args:
        profile: the devices, in seconds; see `in_seconds`.
        microbatches: of the batch, >= 1.
        microbatch_size: samples of each; memory caps limit a device's samples.
        size: bytes of the vector that is summed; see `message_bytes`.
        network: between the devices.

    Raises:
        InputError: if the memory caps leave no room for the batch.
    """
    all_reduce = network.all_reduce_seconds(len(profile), size)
    shares = partition(profile, microbatches, microbatch_size)
    balanced, balanced_use = step_seconds(profile, shares, all_reduce)
    try:
        shares = even_partition(profile, microbatches, microbatch_size)
        even, even_use = step_seconds(profile, shares, all_reduce)
    except InputError:
        even = even_use = math.nan
    return ModelledStep(
        devices=len(profile),
        microbatches=microbatches,
        modelled_all_reduce_seconds=all_reduce,
        modelled_balanced_step_seconds=balanced,
        modelled_even_step_seconds=even,
        modelled_gain=even / balanced,
        modelled_balanced_utilisation=balanced_use,
        modelled_even_utilisation=even_use,
    )


def step_seconds(profile: Profile, shares: Sequence[int], all_reduce: float) -> tuple[float, float]:
    """The modelled time of a step in s and its utilisation (see `ModelledStep`)."""
    times = profile.times(shares)
    step = max(times) + all_reduce
    used = math.fsum(time for time, share in zip(times, shares, strict=True) if share)
    return step, used / (len(profile) * step)


def message_bytes(values: int) -> int:
    """Bytes that `exact_sum` reduces for this many float32 values, where nearly all are small."""
    return BYTES_PER_SUM * (values + 1)


def in_seconds(profile: Profile, unit_seconds: float) -> Profile:
    """The same profile in seconds, where its unit of time takes `unit_seconds`."""
    devices = tuple(
        replace(d, speed=d.speed / unit_seconds, fixed_cost=d.fixed_cost * unit_seconds)
        for d in profile.devices
    )
    return replace(profile, devices=devices, time_unit="s")


def repeat_devices(profile: Profile, devices: int) -> Profile:
    """A cluster of this many devices, copies of the profile's in turn, so that the mix stays."""
    copies = (profile.devices[i % len(profile)] for i in range(devices))
    return replace(profile, devices=tuple(copies))


def two_kinds(fast: Device, devices: int, slow_fraction: float, ratio: float) -> Profile:
    """A cluster of two kinds: like `fast`, and `ratio` times as slow in everything.

    The slow ones stand at even distances, so that any first part of the cluster is mixed alike.

    Args:
        fast: the faster kind.
        devices: of both kinds.
        slow_fraction: part of them that is slow, rounded to whole devices.
        ratio: time of a slow device / time of a fast one, >= 1.
    """
    slow = replace(fast, speed=fast.speed / ratio, fixed_cost=fast.fixed_cost * ratio)
    many = round(slow_fraction * devices)
    before = [place * many // devices for place in range(devices + 1)]
    kinds = (slow if now > then else fast for then, now in pairwise(before))
    return Profile(tuple(kinds), "two kinds", "s")
