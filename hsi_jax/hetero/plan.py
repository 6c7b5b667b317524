"""The plan of a step: each device's share of the batch and the weight of its loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import Profile
from hsi_jax.hetero.scheme import SCHEMES, Scheme


@dataclass(frozen=True)
class Plan:
    """How one batch is divided. It is data: another plan of the same sizes never recompiles.

    Attributes:
        scheme: by which the batch is divided.
        batch_size: samples of the batch, B.
        microbatch_size: samples of a microbatch, m.
        shares: microbatches of each device, [devices].
        counts: samples of each device, [devices]; the batch's last microbatch may be partial.
        weights: weight of each device's mean loss, [devices], sum 1.
        sample_weights: weight of one sample's loss on each device, [devices], float32.
    """

    scheme: Scheme
    batch_size: int
    microbatch_size: int
    shares: tuple[int, ...]
    counts: tuple[int, ...]
    weights: tuple[float, ...]
    sample_weights: np.ndarray

    def describe_bias(self, names: Sequence[str]) -> str:
        """How much more a sample counts on one device than on another; "" where all count alike.

        Args:
            names: of the devices, [devices].
        """
        weights = self.sample_weights
        working = [number for number, count in enumerate(self.counts) if count]
        low, high = (chosen(working, key=lambda n: weights[n]) for chosen in (min, max))
        if weights[high] <= weights[low] * 1.000001:
            return ""
        return (
            f"scheme {self.scheme.name} with shares of {', '.join(map(str, self.shares))}: a "
            f"sample of {names[high]} counts {weights[high] / weights[low]:.2f} times as much as "
            f"one of {names[low]}"
        )

    @property
    def microbatches(self) -> int:
        """Microbatches of the batch, U = ceil(B / m)."""
        return sum(self.shares)


def make_plan(
    scheme: str | Scheme, profile: Profile, batch_size: int, microbatch_size: int
) -> Plan:
    """Divides a batch over the devices of a profile.

    Args:
        scheme: one of `SCHEMES`, or its name.
        profile: the devices.
        batch_size: B >= 1.
        microbatch_size: m >= 1.

    Raises:
        InputError: for an unknown scheme, sizes below 1 or memory caps that cannot be kept.
    """
    scheme = SCHEMES.find(scheme)
    for name, size in (("batch_size", batch_size), ("microbatch_size", microbatch_size)):
        if size < 1:
            raise InputError(f"`{name}`={size}: give a whole number >= 1")
    microbatches = -(-batch_size // microbatch_size)
    shares = scheme.divide(profile, microbatches, microbatch_size)
    return plan_of_shares(
        scheme, profile, shares, batch_size=batch_size, microbatch_size=microbatch_size
    )


def plan_of_shares(
    scheme: str | Scheme,
    profile: Profile,
    shares: tuple[int, ...],
    *,
    batch_size: int,
    microbatch_size: int,
) -> Plan:
    """The plan of `make_plan`, but with these shares in microbatches, [devices].

    Raises:
        InputError: for an unknown scheme.
    """
    scheme = SCHEMES.find(scheme)
    ends = np.minimum(np.cumsum(shares) * microbatch_size, batch_size)
    counts = np.diff(ends, prepend=0)
    unscaled = scheme.weigh(profile, counts)
    weights = unscaled / unscaled.sum()
    if scheme.exact:
        # The same number everywhere, to the last bit; weights / counts would not be.
        sample_weights = np.full(len(profile), 1 / batch_size)
    else:
        sample_weights = np.divide(weights, counts, out=np.zeros(len(profile)), where=counts > 0)
    return Plan(
        scheme=scheme,
        batch_size=batch_size,
        microbatch_size=microbatch_size,
        shares=shares,
        counts=tuple(counts.tolist()),
        weights=tuple(weights.tolist()),
        sample_weights=sample_weights.astype(np.float32),
    )
