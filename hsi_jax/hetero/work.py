"""The work of each device in a step: sample ids, and how to weigh them."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from flax import struct

from hsi_jax.hetero.plan import Plan


class Work(struct.PyTreeNode):
    """One step's work. Outside the pmapped step every array begins with [devices]; inside, not.

    With U microbatches of m samples in the batch; a device uses the first `count` of its rows.

    Attributes:
        ids: sample ids, int32 [devices, U, m].
        mask: 1 for a sample, 0 for padding, float32 [devices, U, m].
        first: number j, within the batch, of the device's first microbatch, int32 [devices].
        count: microbatches of the device, int32 [devices].
        sample_weight: weight of each of the device's samples in the loss, float32 [devices].
        sample_fraction: 1 / B, the weight of a sample in an average over the batch, float32
            [devices].
    """

    # Arrays of NumPy outside the step and of JAX inside.
    ids: Any
    mask: Any
    first: Any
    count: Any
    sample_weight: Any
    sample_fraction: Any


def deal(ids: np.ndarray, plan: Plan, room: int | None = None) -> Work:
    """Cuts a batch into microbatches and gives them to the devices in order, as the plan says.

    All but the ids are the same arrays for every batch of a plan, and read-only; so a call takes as
    long for many devices as for one.

    Args:
        ids: sample ids, int32 [B] with B = plan.batch_size.
        plan: shares and weights.
        room: rows U of the arrays, at least the plan's microbatches; default as many. With the
            same room, batches of different sizes run without compiling again.

    Raises:
        ValueError: if the number of ids is not the plan's.
    """
    if len(ids) != plan.batch_size:
        raise ValueError(f"{len(ids)} ids for a plan of {plan.batch_size}")
    room = room or plan.microbatches
    layout = _layout(plan.shares, plan.batch_size, plan.microbatch_size, room)
    return Work(
        ids=layout.spread(np.asarray(ids, np.int32)),
        mask=layout.mask,
        first=layout.first,
        count=layout.count,
        sample_weight=plan.sample_weights,
        sample_fraction=layout.sample_fraction,
    )


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the microbatches of a batch go, whatever is in them; for the rest see `Work`.

    Attributes:
        shape: [devices, U, m].
        devices: to which each microbatch goes, int [U].
        rows: and to which of its rows, int [U].
    """

    shape: tuple[int, int, int]
    devices: np.ndarray
    rows: np.ndarray
    mask: np.ndarray
    first: np.ndarray
    count: np.ndarray
    sample_fraction: np.ndarray

    def spread(self, values: np.ndarray) -> np.ndarray:
        """One value for each sample, [B], as [devices, U, m]; padding is 0."""
        padded = np.zeros((len(self.rows), self.shape[2]), values.dtype)
        padded.flat[: len(values)] = values
        spread = np.zeros(self.shape, values.dtype)
        spread[self.devices, self.rows] = padded
        return spread


@lru_cache(maxsize=8)  # plans, and the batches of evaluation beside them
def _layout(shares: tuple[int, ...], batch_size: int, microbatch_size: int, room: int) -> _Layout:
    count = np.array(shares, np.int32)
    first = (np.cumsum(count) - count).astype(np.int32)
    devices = np.repeat(np.arange(len(shares)), count)
    shape = (len(shares), room, microbatch_size)
    fraction = np.full(len(shares), 1 / batch_size, np.float32)
    rows = np.arange(len(devices)) - first[devices]
    layout = _Layout(shape, devices, rows, np.empty(0), first, count, fraction)
    layout = replace(layout, mask=layout.spread(np.ones(batch_size, np.float32)))
    for array in (layout.mask, first, count, fraction):
        array.flags.writeable = False  # many steps have it
    return layout
