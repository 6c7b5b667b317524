"""A scene cut into tiles that overlap by half a patch, read one by one."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from hsi_jax.data.scene.nodata import nodata_mask
from hsi_jax.data.scene.scene import Scene

SIDE = 256  # of a tile, pixels
_SIDES, _ENOUGH = (SIDE, SIDE // 2, SIDE // 4), 64  # of a map that is dealt, and how many tiles
_SMALL = 2**26  # numbers of a scene that is looked at as a whole
_WINDOWS, _WINDOW = 5, 32  # of a larger one: windows along each side, and pixels of each side


class CubeSource(Protocol):
    """A cube of which windows are read; `hsi_jax.data.open_raster` gives one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, bands)."""
        ...

    @property
    def nodata_values(self) -> tuple[float, ...]:
        """Values that stand for no data."""
        ...

    @property
    def wavelengths(self) -> np.ndarray | None:
        """Of the bands, nm, or None."""
        ...

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Numbers [rows, columns, bands] of a window inside the cube."""
        ...


@dataclass(frozen=True, eq=False)
class SceneSource:
    """A scene in memory as a source of windows; NaN where it has no data."""

    scene: Scene

    @property
    def nodata_values(self) -> tuple[float, ...]:
        """NaN, which `read` gives, where pixels have no data."""
        return () if self.scene.nodata is None else (math.nan,)

    @property
    def band_names(self) -> tuple[str, ...] | None:
        """Of the bands, or None."""
        return self.scene.band_names

    @property
    def wavelengths(self) -> np.ndarray | None:
        """Of the bands, nm, or None."""
        return self.scene.wavelengths

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, bands)."""
        return self.scene.shape

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """See `CubeSource.read`."""
        cube = self.scene.cube[rows, columns]
        if self.scene.nodata is None:
            return cube
        return np.where(self.scene.nodata[rows, columns, None], np.float32(np.nan), cube)


@dataclass(frozen=True, eq=False)
class WindowReader:
    """Reads windows of a scene by the rule for pixels without data; see `data.scene.nodata`.

    What float32 cannot hold is no data as well: a model cannot take it.

    Attributes:
        source: of the scene.
        bands: those that are wanted, int [n]; None for all.
        ignored: those of them, counted among them, that do not count for the rule.
    """

    source: CubeSource
    bands: np.ndarray | None = None
    ignored: tuple[int, ...] = ()

    def numbers(self, rows: slice, columns: slice) -> np.ndarray:
        """A window as it is stored, [rows, columns, bands]."""
        numbers = self.source.read(rows, columns)
        return numbers if self.bands is None else numbers[..., self.bands]

    def read(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """A window, float32 with 0 where there are no data, and the mask of such pixels."""
        cube, declared, unfit = self.convert(self.numbers(rows, columns))
        return cube, declared | unfit

    def convert(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `read`, of given numbers, with two masks: declared, and unfit for float32."""
        declared = nodata_mask(numbers, self.source.nodata_values, self.ignored)
        with np.errstate(over="ignore"):
            cube = numbers.astype(np.float32)
        unfit = ~np.isfinite(cube).all(-1) & ~declared
        cube[declared | unfit] = 0
        return cube, declared, unfit


@dataclass(frozen=True)
class Tile:
    """A rectangle of pixels of a scene.

    Attributes:
        rows: start and stop.
        columns: start and stop.
    """

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def cut_tiles(shape: tuple[int, int], side: int = SIDE) -> list[Tile]:
    """The tiles of a scene, row by row; those at its end may be smaller.

    Args:
        shape: rows and columns of the scene.
        side: of a tile, pixels.
    """
    rows, columns = (
        [slice(start, min(start + side, size)) for start in range(0, size, side)] for size in shape
    )
    return [Tile(down, across) for down in rows for across in columns]


def dealt_side(shape: tuple[int, int]) -> int:
    """The side of the tiles by which a map is dealt to processes: enough tiles for them to be even.

    The shape of the scene alone decides it, so the bytes of a map do not depend on who makes it.

    Args:
        shape: rows and columns of the scene.
    """
    for side in _SIDES:
        if math.prod(-(-size // side) for size in shape) >= _ENOUGH:
            return side
    return _SIDES[-1]


def read_tile(
    reader: WindowReader, tile: Tile, border: int, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads a tile and a border around it, mirrored at the scene's edge as in `Patches.of_scene`.

    Args:
        reader: of the scene.
        tile: whose pixels are wanted.
        border: pixels on each side.
        shape: rows and columns of a tile, at least those of this one; what is beyond its end has
            no meaning.

    Returns:
        float32 [rows + 2 border, columns + 2 border, bands] with 0 where there are no data, the
        mask of these pixels, and that of the tile's own pixels, bool [rows, columns of the tile].
    """
    windows, indexes = [], []
    sides = zip((tile.rows, tile.columns), reader.source.shape, shape, strict=False)
    for part, size, length in sides:
        window = slice(max(0, part.start - border), min(size, part.stop + border))
        index = np.arange(part.start - border, part.start + length + border)
        index = np.abs(index)  # mirrored at the start, then at the end
        index = np.where(index >= size, 2 * size - 2 - index, index)
        windows.append(window)
        indexes.append(np.clip(index, window.start, window.stop - 1) - window.start)
    cube, missing = reader.read(windows[0], windows[1])
    own = tuple(
        slice(part.start - window.start, part.stop - window.start)
        for part, window in zip((tile.rows, tile.columns), windows, strict=True)
    )
    return cube[np.ix_(*indexes)], missing[np.ix_(*indexes)], missing[own]


def look_at(reader: WindowReader) -> tuple[np.ndarray, np.ndarray, int]:
    """A small scene, or windows from all over a large one, below each other.

    Returns:
        As of `WindowReader.read`, and how many of these pixels hold values that float32 cannot
        hold and are not declared as no data.
    """
    source = reader.source
    shape = source.shape[:2]
    if math.prod(source.shape) <= _SMALL:
        windows = [(slice(0, shape[0]), slice(0, shape[1]))]
    else:
        starts = [np.linspace(0, max(0, size - _WINDOW), _WINDOWS).astype(int) for size in shape]
        windows = [(slice(a, a + _WINDOW), slice(b, b + _WINDOW)) for a, b in product(*starts)]
    parts = [reader.convert(reader.numbers(*window)) for window in windows]
    cubes, declared, unfit = (np.concatenate(part) for part in zip(*parts, strict=True))
    return cubes, declared | unfit, int(np.count_nonzero(unfit))
