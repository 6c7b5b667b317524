"""The cube of a scene that stays where it is stored: rows are read when they are needed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hsi_jax.data.files.raster_source import RasterSource
from hsi_jax.data.scene.cube import zero_where

_BLOCK_BYTES = 2**24  # that are given at a time


class StoredCube:
    """Looks like an array, float32 [rows, columns, bands], and holds a strip of rows of it.

    Rows, and columns of them, are read as `cube[10:20]` or `cube[10:20, :100]`; anything else, such
    as `np.asarray(cube)`, reads all of it.

    Attributes:
        shape: (rows, columns, bands).
        dtype: float32.
        ndim: 3.
    """

    dtype, ndim = np.dtype(np.float32), 3

    def __init__(self, source: RasterSource, bands: Sequence[int], nodata: np.ndarray | None):
        """Reads nothing yet.

        Args:
            source: of numbers that float32 holds where there are data.
            bands: of the source that are in the cube, increasing.
            nodata: bool [rows, columns], True where the cube is 0; or None.
        """
        self.shape = (*source.shape[:2], len(bands))
        self._source, self._nodata = source, nodata
        self._bands = None if len(bands) == source.shape[2] else [*bands]
        self._none = slice(0, 0), np.empty((0, *self.shape[1:]), np.float32)
        self._strip = self._none

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a stored cube becomes an array by reading it, which is a copy")
        cube = np.concatenate([block for _, block in self.blocks()])
        return cube if dtype is None else cube.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, *others = key if isinstance(key, tuple) else (key,)
        if isinstance(rows, int | np.integer):
            row = range(len(self))[rows]
            return self._rows(row, row + 1)[0, *others]
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            return np.asarray(self)[key]
        start, stop, _ = rows.indices(len(self))
        if others and isinstance(others[0], slice) and others[0].step in (None, 1):
            columns, *others = others
            return self._read(slice(start, stop), columns)[:, :, *others]
        return self._rows(start, stop)[:, *others]

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """All rows in order, some at a time: which they are, and their numbers."""
        step = max(1, _BLOCK_BYTES // (4 * self.shape[1] * self.shape[2]))
        for strip in self._source.strips(slice(0, len(self))):
            for start in range(strip.start, strip.stop, step):
                rows = slice(start, min(start + step, strip.stop))
                yield rows, self._rows(rows.start, rows.stop)

    def _rows(self, start: int, stop: int) -> np.ndarray:
        """Reads whole strips, of which the last is kept: few rows may be asked for at a time.

        They are copied, so that no view of it keeps a strip in memory that is not needed any more.
        """
        parts = [self._none[1]]
        for strip in self._source.strips(slice(0, len(self))):
            if strip.start < stop and start < strip.stop:
                inside = slice(max(start - strip.start, 0), stop - strip.start)
                parts.append(self._held(strip)[inside].copy())
        rows = np.concatenate(parts)
        if stop == len(self):  # who reads in order has reached the end
            self._strip = self._none
        return rows

    def _held(self, rows: slice) -> np.ndarray:
        held, numbers = self._strip
        if held != rows:
            del numbers  # before the next takes memory
            self._strip = self._none
            numbers = self._read(rows, slice(None))
            self._strip = rows, numbers
        return numbers

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        numbers = self._source.read(rows, columns)
        if self._bands is not None:
            numbers = numbers[:, :, self._bands]
        return zero_where(numbers, None if self._nodata is None else self._nodata[rows, columns])


def row_blocks(cube: np.ndarray | StoredCube) -> Iterator[tuple[slice, np.ndarray]]:
    """All rows of a cube in order, some at a time: which they are, and their numbers."""
    if isinstance(cube, StoredCube):
        yield from cube.blocks()
    else:
        yield slice(0, len(cube)), cube


def spectra_at(cube: np.ndarray | StoredCube, ids: np.ndarray) -> np.ndarray:
    """The spectra of some pixels, [n, bands] of the cube's dtype.

    Args:
        cube: [rows, columns, bands].
        ids: of the pixels (row * columns + column), int [n].
    """
    columns, bands = cube.shape[1:]
    if not isinstance(cube, StoredCube):
        return cube.reshape(-1, bands)[ids]
    spectra = np.empty((len(ids), bands), cube.dtype)
    for rows, block in cube.blocks():
        here = np.flatnonzero((ids >= rows.start * columns) & (ids < rows.stop * columns))
        spectra[here] = block.reshape(-1, bands)[ids[here] - rows.start * columns]
    return spectra
