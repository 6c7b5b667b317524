"""Samples on the devices, from which the step takes its microbatches.

What the step needs of samples is `take(ids, row)`: the samples with these ids, [m], which are
microbatch number `row` of the device's own. `Patches` is another kind.
"""

from typing import Any

import jax
from flax import struct


class Samples(struct.PyTreeNode):
    """All samples, which stay on every device.

    Attributes:
        arrays: a tree of arrays [n, ...]; for a classifier (inputs, classes).
    """

    arrays: Any

    def take(self, ids: jax.Array, row: jax.Array) -> Any:
        """Picks the samples `ids`, int32 [m], of every array."""
        return jax.tree.map(lambda array: array[ids], self.arrays)


class Rows(struct.PyTreeNode):
    """A device's own samples of one step, sent for that step alone.

    Attributes:
        arrays: a tree of arrays [U, m, ...], of which the first `Work.count` rows hold samples.
    """

    arrays: Any

    def take(self, ids: jax.Array, row: jax.Array) -> Any:
        """Picks a row of every array."""
        return jax.tree.map(lambda array: array[row], self.arrays)
