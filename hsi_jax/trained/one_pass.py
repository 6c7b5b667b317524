"""Blocks of a scene, through which a network runs as a whole, with the logits of each patch.

`hsi_jax.models.tile_layers` says how, and which networks can.
"""

from dataclasses import dataclass
from typing import Any

import jax
from einops import rearrange
from flax import linen as nn
from flax import struct

from hsi_jax.errors import InputError
from hsi_jax.models.tile_layers import TileLayers

SIDE = 32  # of a block: larger ones share more work, and take more memory


class Blocks(struct.PyTreeNode):
    """All blocks of a tile, numbered row by row.

    Attributes:
        cube: the tile with its border, float32 [rows + p - 1, columns + p - 1, bands]; rows and
            columns are multiples of the side.
        across: blocks in a row.
        side: of a block, pixels.
        patch_size: p.
    """

    cube: Any
    across: int = struct.field(pytree_node=False)
    side: int = struct.field(pytree_node=False)
    patch_size: int = struct.field(pytree_node=False)

    def take(self, ids: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Cuts blocks, [m, side + p - 1, side + p - 1, bands]; ids stand for labels."""
        reach = self.side + self.patch_size - 1
        size = (reach, reach, self.cube.shape[-1])

        def cut(number):
            down, across = number // self.across, number % self.across
            return jax.lax.dynamic_slice(self.cube, (down * self.side, across * self.side, 0), size)

        return jax.vmap(cut)(ids), ids


@dataclass(frozen=True)
class OnePass:
    """The task of giving the logits of all pixels of a block; it cannot be trained.

    Attributes:
        module: a network that takes `layers`.
        patch_size: p.
    """

    module: nn.Module
    patch_size: int

    def losses(self, params, batch_stats, batch, *, mask, key, sample_keys):
        """Raises InputError: a network is not trained on blocks."""
        raise InputError("a network is trained on patches, not on whole blocks")

    def logits(self, params, batch_stats, inputs: jax.Array) -> jax.Array:
        """Maps blocks [m, side + p - 1, side + p - 1, bands] to [m, side, side, classes]."""

        def one(block):
            layers = TileLayers(self.patch_size, block.shape[:2])
            variables = {"params": params, "batch_stats": batch_stats}
            logits = self.module.apply(variables, block[None], layers=layers)
            side = block.shape[0] - self.patch_size + 1
            return rearrange(logits, "(rows columns) c -> rows columns c", rows=side)

        return jax.lax.map(one, inputs)
