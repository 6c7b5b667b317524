"""A raster in memory, or one of which windows are read, and what its file says of its numbers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from hsi_jax.errors import InputError

_STRIP_BYTES = 2**24  # that are read together, as far as the file allows


@dataclass(frozen=True, eq=False, kw_only=True)
class RasterFacts:
    """What a file says of its numbers; what its format cannot tell is None or empty.

    Attributes:
        nodata_values: values that stand for no data. Where a pixel of a GeoTIFF or ENVI file
            has no data, all its bands hold the only such value, which may be NaN.
        wavelengths: of the bands, float64 [bands], nm.
        band_names: of the bands, "" for one without; empty where no band has a name. A file of
            one band that gives it none is its name.
        bad_bands: 0-based bands that the file declares as bad.
        opacity_bands: 0-based bands that the file calls opacity (alpha). Many programs call a
            fourth band of a GeoTIFF so, whatever it holds.
        crs: coordinate reference system, as WKT.
        transform: affine (a, b, c, d, e, f) as rasterio orders it: x = a * column + b * row + c.
        class_names: of the ids of a label map: those of ENVI, or of GDAL's .aux.xml.
    """

    nodata_values: tuple[float, ...] = ()
    wavelengths: np.ndarray | None = None
    band_names: tuple[str, ...] = ()
    bad_bands: tuple[int, ...] = ()
    opacity_bands: tuple[int, ...] = ()
    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None
    class_names: dict[int, str] | None = None

    @property
    def facts(self) -> dict:
        """All of them by name, to be passed on."""
        return {field.name: getattr(self, field.name) for field in fields(RasterFacts)}


@dataclass(frozen=True, eq=False)
class Raster(RasterFacts):
    """The content of a raster file.

    Attributes:
        array: numbers as they are stored, but with the scale and offset that a GeoTIFF or ENVI
            file declares; [rows, columns, bands] where the format fixes the axes.
    """

    array: np.ndarray

    def source(self) -> "RasterSource":
        """The same, to be read by windows; the array must be [rows, columns, bands]."""
        rows, columns, bands = self.array.shape
        return RasterSource(
            (rows, columns, bands),
            self.array.dtype,
            lambda rows, columns: self.array[rows, columns],
            **self.facts,
        )


@dataclass(frozen=True, eq=False)
class RasterSource(RasterFacts):
    """A raster of which windows are read, so that it may be larger than memory.

    Threads may share it. Its file is closed when it is no longer used.

    Attributes:
        shape: (rows, columns, bands).
        dtype: of the windows.
        read_window: reads rows and columns that lie inside, given as slices of step 1.
        block_rows: rows that the file stores together, from the first on; part of them takes as
            long as all.
        block_columns: columns that the file stores together; None for all.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    read_window: Callable[[slice, slice], np.ndarray]
    block_rows: int = 1
    block_columns: int | None = None

    def strips(self, rows: slice, columns: int | None = None) -> Iterator[slice]:
        """Cuts rows into parts that are good to read together.

        Args:
            rows: start and stop.
            columns: how many; None for all.
        """
        columns = columns or self.shape[1]
        block_bytes = self.block_rows * columns * self.shape[2] * self.dtype.itemsize
        step = self.block_rows * max(1, _STRIP_BYTES // max(1, block_bytes))
        for first in range(rows.start // step * step, rows.stop, step):
            yield slice(max(rows.start, first), min(rows.stop, first + step))

    def read(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Reads a window.

        Args:
            rows: of step 1; what lies outside is cut off, as NumPy does it.
            columns: as `rows`.

        Returns:
            [rows of the window, columns of the window, bands], C-contiguous and in memory, of
            `dtype`. `hsi_jax.data.nodata_mask` tells which pixels have no data.

        Raises:
            InputError: if the file is damaged, or the window does not fit into memory.
        """
        inside = [
            slice(*part.indices(size)[:2])
            for part, size in zip((rows, columns), self.shape, strict=False)
        ]
        shape = [max(0, part.stop - part.start) for part in inside]
        if 0 in shape:
            return np.empty((*shape, self.shape[2]), self.dtype)
        try:
            return self._read_strips(*inside)
        except MemoryError:
            raise InputError(
                f"{shape[0]} x {shape[1]} pixels of {self.shape[2]} bands do not fit into memory; "
                f"cut the scene, or copy its file again if it is smaller: the file is damaged then"
            ) from None

    def _read_strips(self, rows: slice, columns: slice) -> np.ndarray:
        """Piece by piece, so that what reading takes beside the result is small."""
        pieces = [
            (strip, part)
            for strip in self.strips(rows, columns.stop - columns.start)
            for part in self._parts(strip.stop - strip.start, columns)
        ]
        if len(pieces) == 1:
            return np.ascontiguousarray(self.read_window(rows, columns))
        shape = (rows.stop - rows.start, columns.stop - columns.start, self.shape[2])
        array = np.empty(shape, self.dtype)
        for down, across in pieces:
            inside = (
                slice(down.start - rows.start, down.stop - rows.start),
                slice(across.start - columns.start, across.stop - columns.start),
            )
            array[inside] = self.read_window(down, across)
        return array

    def _parts(self, rows: int, columns: slice) -> Iterator[slice]:
        """Cuts the columns of this many rows, where the file stores tiles."""
        block = self.block_columns or self.shape[1]
        block_bytes = rows * block * self.shape[2] * self.dtype.itemsize
        step = block * max(1, _STRIP_BYTES // max(1, block_bytes))
        for first in range(columns.start // step * step, columns.stop, step):
            yield slice(max(columns.start, first), min(columns.stop, first + step))


def corners(transform: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """The coordinates of the four corners, float64 [2, 4].

    Args:
        transform: affine (a, b, c, d, e, f).
        shape: rows and columns.
    """
    rows, columns = shape
    affine = np.reshape(transform, (2, 3))
    return affine @ [[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]]


def shift_in_pixels(one: np.ndarray, two: np.ndarray, transform: Sequence[float]) -> float:
    """How far two sets of corners are apart at most, in pixels of a transform."""
    side = np.hypot(transform[0], transform[3])
    return float(np.abs(one - two).max() / side)
