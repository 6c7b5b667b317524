"""From the files of a collection to tiles that patches are cut from."""

from dataclasses import dataclass

import numpy as np

from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.scene_tiles import read_tile


@dataclass(frozen=True, eq=False)
class TileReader:
    """Reads tiles with the border that patches need; any thread may.

    Attributes:
        pixels: the samples.
        preprocessing: of the spectra.
        patch_size: side of a patch, odd.
    """

    pixels: LabelledPixels
    preprocessing: Preprocessing
    patch_size: int

    @property
    def border(self) -> int:
        """Pixels around a tile on each side."""
        return self.patch_size // 2

    def read(self, number: int, shape: tuple[int, int] | None = None) -> np.ndarray:
        """A tile and its border, mirrored at the edge of its scene as in `Patches.of_scene`.

        Args:
            number: of the tile.
            shape: rows and columns that are given, at least those of the tile, which is the
                default; what is beyond the tile and its border means nothing.

        Returns:
            Scaled, float32 [rows + 2 border, columns + 2 border, channels]; 0 where there are no
            data.

        Raises:
            InputError: that names the row of the scene, if it cannot be read.
        """
        scene_number, tile = self.pixels.tiles[number]
        scene = self.pixels.collection[scene_number]
        with scene.row.named():
            cube, missing, _ = read_tile(scene.reader(), tile, self.border, shape or tile.shape)
        scaled = self.preprocessing.transform(cube)
        scaled[missing] = 0
        return scaled
