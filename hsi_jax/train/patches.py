"""A scene on the device, from which patches are cut by sample id."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from hsi_jax.errors import InputError


class Patches(struct.PyTreeNode):
    """All patches of a scene, stored as the scene; a sample id is row * columns + column.

    Attributes:
        cube: the scene with a border of patch_size // 2 mirrored pixels, float32
            [rows + p - 1, columns + p - 1, bands].
        labels: class index of each pixel, -1 where unlabelled, int32 [rows * columns].
        columns: columns of the scene without its border.
        patch_size: p, odd.
    """

    cube: jax.Array
    labels: jax.Array
    columns: int = struct.field(pytree_node=False)
    patch_size: int = struct.field(pytree_node=False)

    @classmethod
    def of_scene(cls, cube: np.ndarray, labels: np.ndarray, patch_size: int) -> "Patches":
        """Adds the border. A mirrored pixel lies in the patch anyway, so it adds no neighbour.

        Args:
            cube: float32 [rows, columns, bands].
            labels: int32 [rows, columns].
            patch_size: p.

        Raises:
            InputError: if p is even, below 1 or larger than the scene.
        """
        rows, columns, _ = cube.shape
        if patch_size < 1 or patch_size % 2 == 0:
            raise InputError(
                f"--patch_size={patch_size}: give an odd number, so that the patch has a centre"
            )
        if patch_size > min(rows, columns):
            raise InputError(
                f"--patch_size={patch_size} is larger than the scene of {rows} x {columns} pixels; "
                f"give at most {min(rows, columns)}"
            )
        border = patch_size // 2
        padded = np.pad(cube, ((border, border), (border, border), (0, 0)), mode="reflect")
        return cls(padded.astype(np.float32), labels.astype(np.int32).ravel(), columns, patch_size)

    def take(self, ids: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Cuts the patches centred on the pixels `ids`, int32 [m].

        Returns:
            Patches, float32 [m, p, p, bands], and the labels of their centres, int32 [m].
        """
        size = (self.patch_size, self.patch_size, self.cube.shape[-1])

        def cut(row, column):
            return jax.lax.dynamic_slice(self.cube, (row, column, 0), size)

        patches = jax.vmap(cut)(*jnp.divmod(ids, self.columns))
        return patches, self.labels[ids]
