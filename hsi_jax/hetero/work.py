"""The work of each device in a step: sample ids, and how to weigh them."""

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
    shape = (room or plan.microbatches, plan.microbatch_size)
    padded = np.zeros(shape, np.int32)
    padded.flat[: len(ids)] = ids
    filled = np.zeros(shape, np.float32)
    filled.flat[: len(ids)] = 1

    devices = len(plan.shares)
    count = np.array(plan.shares, np.int32)
    first = (np.cumsum(count) - count).astype(np.int32)
    own = np.zeros((devices, *shape), np.int32)
    mask = np.zeros((devices, *shape), np.float32)
    for device, (start, share) in enumerate(zip(first, count, strict=True)):
        own[device, :share] = padded[start : start + share]
        mask[device, :share] = filled[start : start + share]
    return Work(
        ids=own,
        mask=mask,
        first=first,
        count=count,
        sample_weight=plan.sample_weights,
        sample_fraction=np.full(devices, 1 / plan.batch_size, np.float32),
    )
