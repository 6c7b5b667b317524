"""A scene of a collection: where its pixels are read, and which of them have a class."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hsi_jax.data.collection.scene_table import SceneRow
from hsi_jax.data.files.raster_source import RasterFacts, RasterSource, corners
from hsi_jax.data.scene.nodata import uncounted_bands
from hsi_jax.data.scene.scene_tiles import WindowReader, cut_tiles
from hsi_jax.data.splits.split import NO_IDS
from hsi_jax.errors import InputError

_LOOKS, _LOOK = 3, 4  # windows along each side that a digest sees, and pixels of each side


@dataclass(frozen=True, eq=False, kw_only=True)
class CollectedScene:
    """A scene of a collection; its file is opened when it is read.

    Attributes:
        row: of the table.
        shape: (rows, columns, bands) of its file.
        dtype: of its numbers.
        facts: what its file says of them, and of its place on the Earth.
        bands: of its file that the collection takes, in its order, int [bands]; None for all.
        nodata_values: that stand for no data.
        pixels: flat ids (row * columns + column) of the labelled pixels, int32 [k], increasing.
        classes: class number of each of them, int32 [k].
        polygons: number of the polygon or point of each of them, int32 [k], or None.
        files: that it is read from.
        open_source: opens the file of an image, or gives it open.
    """

    row: SceneRow
    shape: tuple[int, int, int]
    dtype: np.dtype
    facts: RasterFacts
    nodata_values: tuple[float, ...]
    files: tuple[Path, ...]
    open_source: Callable[[str], RasterSource]
    bands: np.ndarray | None = None
    pixels: np.ndarray = field(default_factory=NO_IDS.copy)
    classes: np.ndarray = field(default_factory=NO_IDS.copy)
    polygons: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Of the row."""
        return self.row.name

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.shape[:2]

    @property
    def corners(self) -> np.ndarray | None:
        """Coordinates of the four corners in the scene's reference system, [2, 4], or None."""
        transform = self.facts.transform
        return None if transform is None else corners(transform, self.size)

    def class_counts(self, num_classes: int) -> np.ndarray:
        """Labelled pixels of each class, int [C]."""
        return np.bincount(self.classes, minlength=num_classes)

    def label_map(self, values: np.ndarray | None = None) -> np.ndarray:
        """A value of each labelled pixel, by default its class, as int32 [rows, columns], or -1."""
        filled = np.full(self.size, -1, np.int32)
        filled.flat[self.pixels] = self.classes if values is None else values
        return filled

    def reader(self) -> WindowReader:
        """Reads windows with the bands of the collection, by the rule for pixels without data.

        Raises:
            InputError: if the file is gone, or another one.
        """
        return replace(self._plain(), ignored=self._uncounted)

    def _plain(self) -> WindowReader:
        source = self.open_source(self.row.image)
        if source.shape != self.shape:
            raise InputError(f"{self.row.image} has changed: it has the shape {source.shape} now")
        return WindowReader(replace(source, nodata_values=self.nodata_values), self.bands)

    @functools.cached_property
    def _uncounted(self) -> tuple[int, ...]:
        plain, tiles = self._plain(), cut_tiles(self.size)
        blocks = (plain.numbers(tile.rows, tile.columns) for tile in tiles)
        return uncounted_bands(blocks, self.nodata_values)

    def read(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """A window, float32 [rows, columns, bands] with 0 where there are no data, and that mask.

        Raises:
            InputError: that names the row, if the file is gone or damaged.
        """
        with self.row.named():
            return self.reader().read(rows, columns)

    def add_to(self, digest: "hashlib._Hash") -> None:
        """Adds what tells this scene from another: its grid, bands, labels and some pixels."""
        facts = self.shape, self.dtype.str, self.facts.transform, self.nodata_values
        digest.update(repr(facts).encode())
        for array in (self.pixels, self.classes):
            digest.update(np.ascontiguousarray(array).data)
        for window in look_windows(self.size, _LOOKS, _LOOK):
            digest.update(self.read(*window)[0].tobytes())


def look_windows(size: Sequence[int], count: int, side: int) -> list[tuple[slice, slice]]:
    """Windows spread over a scene: `count` along each side, of `side` pixels."""
    starts = [np.linspace(0, max(0, length - side), count).astype(int) for length in size]
    return [
        (slice(int(top), int(top) + side), slice(int(left), int(left) + side))
        for top in starts[0]
        for left in starts[1]
    ]
