"""The labelled pixels of many scenes as samples, numbered tile by tile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.scene.scene_tiles import Tile, cut_tiles
from hsi_jax.errors import InputError


@dataclass(frozen=True, eq=False)
class LabelledPixels:
    """The labelled pixels of a collection; the number of one is its sample id.

    They come scene by scene, in each tile by tile, and in each of these row by row. So the samples
    of a tile follow each other, and those of a scene as well. A pixel takes 8 bytes here.

    Attributes:
        collection: whose pixels they are.
        pixels: where each lies in its scene, row * columns + column, int32 [n].
        labels: class number of each, int32 [n].
        tiles: of all scenes: the number of the scene, and the tile.
        tile_starts: sample id of the first pixel of each tile, and n, int64 [tiles + 1].
        scene_starts: sample id of the first pixel of each scene, and n, int64 [scenes + 1].
    """

    collection: SceneCollection
    pixels: np.ndarray
    labels: np.ndarray
    tiles: tuple[tuple[int, Tile], ...]
    tile_starts: np.ndarray
    scene_starts: np.ndarray

    @classmethod
    def of(cls, collection: SceneCollection, tile_side: int) -> "LabelledPixels":
        """Numbers the labelled pixels.

        Args:
            collection: of scenes.
            tile_side: of the tiles, pixels.

        Raises:
            InputError: if there are none, or more than an int32 can count.
        """
        parts = [_in_tiles(scene, tile_side) for scene in collection]
        count = sum(len(scene.pixels) for scene in collection)
        if not count:
            raise InputError(
                "no scene of the collection has labels; give a column labels, or a pattern"
            )
        if count > np.iinfo(np.int32).max:
            raise InputError(f"there are {count} labelled pixels; at most {2**31 - 1} can be used")
        tiles, counts = [], []
        for number, (own, in_tile, _) in enumerate(parts):
            tiles += [(number, tile) for tile in own]
            counts.append(in_tile)
        return cls(
            collection,
            _gathered([scene.pixels for scene in collection], parts),
            _gathered([scene.classes for scene in collection], parts),
            tuple(tiles),
            _starts(np.concatenate(counts)),
            _starts([len(scene.pixels) for scene in collection]),
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def tile_of(self, ids: np.ndarray) -> np.ndarray:
        """The tile of each sample, int [k]."""
        return np.searchsorted(self.tile_starts, ids, side="right") - 1

    def scene_of(self, ids: np.ndarray) -> np.ndarray:
        """The scene of each sample, int [k]."""
        return np.searchsorted(self.scene_starts, ids, side="right") - 1

    def ids_of_scene(self, number: int) -> slice:
        """The samples of a scene."""
        return slice(int(self.scene_starts[number]), int(self.scene_starts[number + 1]))

    def ids_of_tile(self, number: int) -> slice:
        """The samples of a tile."""
        return slice(int(self.tile_starts[number]), int(self.tile_starts[number + 1]))

    def places(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The tile of each sample, and its row and column in it, int [k] each.

        Args:
            ids: sample ids, int [k].
        """
        tiles = self.tile_of(ids)
        facts = [self._corner_and_columns(tile) for tile in np.unique(tiles)]
        top, left, columns = np.transpose(facts)[:, np.unique(tiles, return_inverse=True)[1]]
        rows, across = np.divmod(self.pixels[ids], columns)
        return tiles, rows - top, across - left

    def _corner_and_columns(self, number: int) -> tuple[int, int, int]:
        scene, tile = self.tiles[number]
        return tile.rows.start, tile.columns.start, self.collection[scene].size[1]

    def without(self, lost: np.ndarray) -> "LabelledPixels":
        """The pixels that are not lost, bool [n], numbered anew.

        Raises:
            InputError: if none is left.
        """
        if not lost.any():
            return self
        if lost.all():
            raise InputError("no labelled pixel of the collection has data; check `nodata`")
        before = np.concatenate([[0], np.cumsum(~lost)])
        return replace(
            self,
            pixels=self.pixels[~lost],
            labels=self.labels[~lost],
            tile_starts=before[self.tile_starts],
            scene_starts=before[self.scene_starts],
        )


def _in_tiles(scene, tile_side: int) -> tuple[list[Tile], np.ndarray, np.ndarray]:
    """The tiles of a scene, the number of its pixels in each, and their order by tiles."""
    tiles = cut_tiles(scene.size, tile_side)
    across = -(-scene.size[1] // tile_side)
    rows, columns = np.divmod(scene.pixels, scene.size[1])
    tile = rows // tile_side * across + columns // tile_side
    return tiles, np.bincount(tile, minlength=len(tiles)), np.argsort(tile, kind="stable")


def _gathered(values: Sequence[np.ndarray], parts: Sequence) -> np.ndarray:
    """The values of all scenes in the order of their tiles, int32 [n]."""
    return np.concatenate([own[order] for own, (_, _, order) in zip(values, parts, strict=True)])


def _starts(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))])
