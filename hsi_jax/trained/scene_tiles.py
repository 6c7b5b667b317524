"""A scene cut into tiles that overlap by half a patch, read one by one."""

from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from hsi_jax.data.files.raster_source import nodata_mask
from hsi_jax.data.scene.scene import Scene

SIDE = 256  # of a tile, pixels


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
    nodata_values: tuple[float, ...] = ()

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


@dataclass(frozen=True)
class Tile:
    """A rectangle of pixels of a scene.

    Attributes:
        rows: start and stop.
        columns: likewise.
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


def read_tile(
    source: CubeSource,
    tile: Tile,
    border: int,
    shape: tuple[int, int],
    bands: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads a tile and a border around it, mirrored at the scene's edge as in `Patches.of_scene`.

    Args:
        source: of the scene.
        tile: whose pixels are wanted.
        border: pixels on each side.
        shape: rows and columns of a tile, at least those of this one; what is beyond its end has
            no meaning.
        bands: those that are wanted, int [n]; None for all.

    Returns:
        float32 [rows + 2 border, columns + 2 border, bands] with 0 where there are no data, the
        mask of these pixels, and that of the tile's own pixels, bool [rows, columns of the tile].
    """
    windows, indexes = [], []
    for part, size, length in zip((tile.rows, tile.columns), source.shape, shape, strict=False):
        window = slice(max(0, part.start - border), min(size, part.stop + border))
        index = np.arange(part.start - border, part.start + length + border)
        index = np.abs(index)  # mirrored at the start, then at the end
        index = np.where(index >= size, 2 * size - 2 - index, index)
        windows.append(window)
        indexes.append(np.clip(index, window.start, window.stop - 1) - window.start)
    cube, missing = _read(source, windows[0], windows[1], bands)
    own = tuple(
        slice(part.start - window.start, part.stop - window.start)
        for part, window in zip((tile.rows, tile.columns), windows, strict=True)
    )
    return cube[np.ix_(*indexes)], missing[np.ix_(*indexes)], missing[own]


def sample_pixels(
    source: CubeSource, bands: np.ndarray | None = None, side: int = 32
) -> np.ndarray:
    """Some pixels with data from all over a scene, float32 [n, bands]."""
    windows = [
        [slice(start, start + side) for start in np.linspace(0, max(0, size - side), 3).astype(int)]
        for size in source.shape[:2]
    ]
    parts = [_read(source, rows, columns, bands) for rows, columns in product(*windows)]
    return np.concatenate([cube[~missing] for cube, missing in parts])


def _read(
    source: CubeSource, rows: slice, columns: slice, bands: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """A window, float32 with 0 where there are no data, and the mask of such pixels."""
    numbers = source.read(rows, columns)
    numbers = numbers if bands is None else numbers[..., bands]
    missing = nodata_mask(numbers, source.nodata_values)
    with np.errstate(over="ignore"):  # what float32 cannot hold is no data
        cube = numbers.astype(np.float32)
    missing |= ~np.isfinite(cube).all(-1)
    cube[missing] = 0
    return cube, missing
