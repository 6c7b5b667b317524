"""Schemes: how a batch is divided over the devices, and how much each device's loss counts.

`SCHEMES` holds all of them; `SCHEMES.register` adds one of your own. `B` is the batch size, `D` the
number of devices that have samples, `s_d` the speed of device d and `count_d` its samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hsi_jax.hetero.partitioning import even_partition, partition
from hsi_jax.hetero.profile import Profile
from hsi_jax.registry import Registry


@dataclass(frozen=True)
class Scheme:
    """A way to divide a batch and to weigh the devices' mean losses.

    Attributes:
        name: how users call it.
        description: one line of help.
        divide: from a profile, the number of microbatches and their size in samples, to the
            microbatches of each device, [devices]; see `partition`.
        weigh: from a profile and the samples of each device, int [devices], to the weights of the
            devices' mean losses, [devices], >= 0 and in any unit: they are divided by their sum. A
            device without samples has no mean loss, so its weight must be 0.
        exact: whether the weighted sum is always the mean over the batch, so that the result does
            not depend on the devices. Then every sample weighs 1 / B, to the last bit.
        retimed: whether speeds are measured again while training, and shares follow them.
    """

    name: str
    description: str
    divide: Callable[[Profile, int, int], tuple[int, ...]]
    weigh: Callable[[Profile, np.ndarray], np.ndarray]
    exact: bool = False
    retimed: bool = False


def _by_count(profile: Profile, counts: np.ndarray) -> np.ndarray:
    return counts


def _by_speed(profile: Profile, counts: np.ndarray) -> np.ndarray:
    return np.array(profile.speeds, float) * (counts > 0)


def _alike(profile: Profile, counts: np.ndarray) -> np.ndarray:
    return counts > 0


_ALL = (
    Scheme(
        "balanced",
        "shares by speed, weights count_d / B: exactly the gradient of the whole batch",
        partition,
        _by_count,
        exact=True,
    ),
    Scheme(
        "adaptive",
        "as balanced, by speeds that are measured again while training",
        partition,
        _by_count,
        exact=True,
        retimed=True,
    ),
    Scheme(
        "speed",
        "shares by speed, weights s_d / sum(s): the formula of Moreno-Alvarez et al. (2022)",
        partition,
        _by_speed,
    ),
    Scheme(
        "uniform",
        "shares by speed, weights 1 / D: uneven batches averaged as if they were even",
        partition,
        _alike,
    ),
    Scheme(
        "even",
        "shares as equal as microbatches allow, weights 1 / D: what PyTorch DDP and Horovod do",
        even_partition,
        _alike,
    ),
)
SCHEMES = Registry("scheme", {scheme.name: scheme for scheme in _ALL}, Scheme)
