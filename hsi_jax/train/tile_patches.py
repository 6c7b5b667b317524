"""Patches of a collection of scenes whose tiles all stay on every device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from hsi_jax.data.collection.tile_reader import TileReader


class TilePatches(struct.PyTreeNode):
    """The patches around all samples, stored as the tiles that they lie in.

    Attributes:
        tiles: each with its border, float32 [tiles, side + p - 1, side + p - 1, channels].
        tile: the tile of each sample, int32 [n].
        corner: row and column of the first pixel of its patch there, int32 [n, 2].
        labels: class number of each sample, int32 [n].
        patch_size: p, odd.
    """

    tiles: Any  # of NumPy until they are copied to devices, of JAX there
    tile: Any
    corner: Any
    labels: Any
    patch_size: int = struct.field(pytree_node=False)

    @classmethod
    def of(cls, reader: TileReader) -> "TilePatches":
        """Reads all tiles that have samples.

        Raises:
            InputError: that names the row of a scene, if one cannot be read.
        """
        pixels, border = reader.pixels, reader.border
        used = np.flatnonzero(np.diff(pixels.tile_starts)).tolist()
        shapes = [pixels.tiles[number][1].shape for number in used]
        rows, columns = np.max(shapes, 0).tolist()
        size = rows + 2 * border, columns + 2 * border, reader.preprocessing.num_channels
        tiles = np.zeros((len(used), *size), np.float32)
        for place, number in enumerate(used):
            tiles[place] = reader.read(number, (rows, columns))
        number, row, column = pixels.places(np.arange(len(pixels), dtype=np.int32))
        return cls(
            tiles,
            np.searchsorted(used, number).astype(np.int32),
            np.stack([row, column], 1).astype(np.int32),
            pixels.labels,
            reader.patch_size,
        )

    def take(self, ids: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Cuts the patches of the samples `ids`, int32 [m].

        Returns:
            Patches, float32 [m, p, p, channels], and the labels of their centres, int32 [m].
        """
        size = (1, self.patch_size, self.patch_size, self.tiles.shape[-1])

        def cut(tile, corner):
            start = (tile, corner[0], corner[1], jnp.int32(0))
            return jax.lax.dynamic_slice(self.tiles, start, size)[0]

        return jax.vmap(cut)(self.tile[ids], self.corner[ids]), self.labels[ids]
