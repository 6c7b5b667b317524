"""Samples, from which the step takes its microbatches: on the devices, or sent for each step."""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.stored_cube import StoredCube
from hsi_jax.errors import InputError


class SampleSource(Protocol):
    """What the step needs of samples; the three classes below are examples."""

    def take(self, ids: jax.Array, row: jax.Array) -> Any:
        """The samples of one microbatch, traced by JAX.

        Args:
            ids: sample ids, int32 [m].
            row: number of the microbatch among the device's own, int32 [].

        Returns:
            A tree of arrays [m, ...]; for a classifier (inputs, classes).
        """
        ...


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


class Patches(struct.PyTreeNode):
    """All patches of a scene, stored as the scene; a sample id is row * columns + column.

    Attributes:
        cube: the scene with a border of patch_size // 2 mirrored pixels, float32
            [rows + p - 1, columns + p - 1, bands].
        labels: class index of each pixel, -1 where unlabelled, int32 [rows * columns].
        columns: columns of the scene without its border.
        patch_size: p, odd.
    """

    cube: Any  # of NumPy until it is copied to devices, of JAX there, as are the labels
    labels: Any
    columns: int = struct.field(pytree_node=False)
    patch_size: int = struct.field(pytree_node=False)

    @classmethod
    def of_scene(
        cls,
        cube: np.ndarray | StoredCube,
        labels: np.ndarray | None,
        patch_size: int,
        *,
        nodata: np.ndarray | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> "Patches":
        """Adds the border. A mirrored pixel lies in the patch anyway, so it adds no neighbour.

        Args:
            cube: float32 [rows, columns, bands]; a stored one is read some rows at a time.
            labels: int32 [rows, columns], or None for a scene without labels.
            patch_size: p.
            nodata: bool [rows, columns], True where a pixel has no data, or None. Patches hold 0
                there, which is the mean of the training pixels in a cube that is scaled.
            preprocessing: transforms the spectra on the way, with no copy of the cube in between.

        Raises:
            InputError: if p is even, below 1 or larger than the scene.
        """
        rows, columns, bands = cube.shape
        _check_patch_size(patch_size, rows, columns)
        if labels is None:
            labels = np.full((rows, columns), -1)
        border = patch_size // 2
        channels = preprocessing.num_channels if preprocessing else bands
        padded = _empty_for_devices((rows + 2 * border, columns + 2 * border, channels))
        inside = padded[border : border + rows, border : border + columns]
        if preprocessing:
            preprocessing.transform(cube, out=inside)
        else:
            inside[...] = cube
        if nodata is not None:
            inside[nodata] = 0
        _mirror(padded[:, border : border + columns], border)  # above and below
        _mirror(padded.swapaxes(0, 1), border)
        return cls(padded, labels.astype(np.int32).ravel(), columns, patch_size)

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


def _check_patch_size(patch_size: int, rows: int, columns: int) -> None:
    if patch_size < 1 or patch_size % 2 == 0:
        raise InputError(
            f"`patch_size`={patch_size}: give an odd number, so that the patch has a centre"
        )
    if patch_size > min(rows, columns):
        raise InputError(
            f"`patch_size`={patch_size} is larger than the scene of {rows} x {columns} pixels; "
            f"give at most {min(rows, columns)}"
        )


def _empty_for_devices(shape: tuple[int, ...]) -> np.ndarray:
    """A float32 array that JAX's CPU devices use where it lies.

    They need this alignment for that. Any other array is copied, once for each emulated device.
    """
    alignment = 64  # bytes
    size = 4 * math.prod(shape)
    memory = np.empty(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size].view(np.float32).reshape(shape)


def _mirror(rows: np.ndarray, border: int) -> None:
    """Fills the first and the last rows; the row beside them is not repeated."""
    last = len(rows) - border - 1
    rows[:border] = rows[2 * border : border : -1]
    rows[last + 1 :] = rows[last - 1 : last - 1 - border : -1]


class Stream:
    """Samples too large for a device: each step gets its own, which threads read ahead of it.

    Attributes:
        sample_bytes: size of one sample on a device.
        steps_ahead: steps to come whose samples are read and held.
    """

    def __init__(self, read: Callable[[np.ndarray], Any], steps_ahead: int = 2):
        """Reads one sample to learn its size.

        Args:
            read: maps sample ids, int32 [k], to a tree of NumPy arrays [k, ...]; for a classifier
                (inputs, classes). Several threads call it at the same time.
            steps_ahead: 1 or more; the more, the longer may a read take now and then.
        """
        self.steps_ahead = steps_ahead
        one = read(np.zeros(1, np.int32))
        self.sample_bytes = sum(array.nbytes for array in jax.tree.leaves(one))
        self._none = jax.tree.map(lambda array: array[:0], one)
        self._read = read
        self._threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="reader")

    def rows(self, ids: np.ndarray, count: int) -> Rows:
        """A device's own samples of a step.

        Args:
            ids: sample ids, int32 [U, m].
            count: rows of them that are the device's own; the others are left 0.

        Returns:
            Rows of arrays [U, m, ...].
        """
        own = ids[:count].ravel()
        parts = np.array_split(own, min(self._threads, len(own)) or 1)
        read = self._pool.map(self._read, parts if len(own) else ())
        shape = (ids.shape[0], ids.shape[1])
        return Rows(jax.tree.map(lambda *arrays: _fill(shape, arrays), self._none, *read))


def _fill(shape: tuple[int, int], parts: tuple[np.ndarray, ...]) -> np.ndarray:
    """The parts one after the other in an array [U, m, ...] that is 0 after them."""
    filled = np.zeros((shape[0] * shape[1], *parts[0].shape[1:]), parts[0].dtype)
    start = 0
    for part in parts:
        filled[start : start + len(part)] = part
        start += len(part)
    return filled.reshape(*shape, *filled.shape[1:])
