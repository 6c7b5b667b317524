"""The plan of a step: each device's share of the batch and the weight of its loss."""

from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.hetero.partition import even_partition, partition
from hsi_jax.hetero.profile import Profile

SCHEMES = ("balanced", "adaptive", "speed", "uniform", "even")


@dataclass(frozen=True)
class Plan:
    """How one batch is divided. It is data: another plan of the same sizes never recompiles.

    Attributes:
        scheme: one of `SCHEMES`.
        batch_size: samples of the batch, B.
        microbatch_size: samples of a microbatch, m.
        shares: microbatches of each device, [devices].
        counts: samples of each device, [devices]; the batch's last microbatch may be partial.
        weights: weight of each device's mean loss, [devices], sum 1.
        sample_weights: weight of one sample's loss on each device, [devices], float32.
    """

    scheme: str
    batch_size: int
    microbatch_size: int
    shares: tuple[int, ...]
    counts: tuple[int, ...]
    weights: tuple[float, ...]
    sample_weights: np.ndarray

    @property
    def microbatches(self) -> int:
        """Microbatches of the batch, U = ceil(B / m)."""
        return sum(self.shares)


def make_plan(scheme: str, profile: Profile, batch_size: int, microbatch_size: int) -> Plan:
    """Divides a batch over the devices of a profile.

    ===========  ==========  ==========================================================
    scheme       shares      weight of device d's mean loss
    ===========  ==========  ==========================================================
    `balanced`   by speed    count_d / B: exactly the gradient of the global batch
    `adaptive`   by speed    count_d / B, with speeds that are measured again while training
    `speed`      by speed    s_d / sum(s): the formula of Moreno-Alvarez et al. (2022)
    `uniform`    by speed    1 / D: uneven batches averaged as if they were even
    `even`       equal       1 / D: what PyTorch DDP and Horovod do
    ===========  ==========  ==========================================================

    D and sum(s) run over the devices that hold samples, because no others have a mean loss; so
    the weights always sum to 1.

    Args:
        scheme: one of `SCHEMES`.
        profile: the devices.
        batch_size: B >= 1.
        microbatch_size: m >= 1.

    Raises:
        InputError: for an unknown scheme, sizes below 1 or caps that cannot be kept.
    """
    if scheme not in SCHEMES:
        raise InputError(f"scheme {scheme!r} is unknown; choose one of {', '.join(SCHEMES)}")
    for name, size in (("batch_size", batch_size), ("microbatch_size", microbatch_size)):
        if size < 1:
            raise InputError(f"{name} is {size}; give a whole number >= 1")
    microbatches = -(-batch_size // microbatch_size)
    divide = even_partition if scheme == "even" else partition
    shares = divide(profile, microbatches, microbatch_size)
    return plan_of_shares(scheme, profile, batch_size, microbatch_size, shares)


def plan_of_shares(
    scheme: str,
    profile: Profile,
    batch_size: int,
    microbatch_size: int,
    shares: tuple[int, ...],
) -> Plan:
    """The plan of `make_plan` in which the devices have these shares, [devices]."""
    ends = np.minimum(np.cumsum(shares) * microbatch_size, batch_size)
    counts = np.diff(ends, prepend=0)
    weights = _weights(scheme, profile, counts)
    if scheme in ("balanced", "adaptive"):
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


def _weights(scheme: str, profile: Profile, counts: np.ndarray) -> np.ndarray:
    unscaled = {
        "balanced": counts,
        "adaptive": counts,
        "speed": np.array(profile.speeds) * (counts > 0),
        "uniform": counts > 0,
        "even": counts > 0,
    }[scheme]
    return unscaled / unscaled.sum()
