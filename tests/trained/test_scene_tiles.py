"""Tiles of a scene: mirrored as patches are, each pixel once, no data where there are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.files.raster_source import Raster
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.scene_tiles import SceneSource, WindowReader, cut_tiles, look_at, read_tile
from hsi_jax.train import Patches


def coordinates(rows, columns):
    """A cube in which every pixel says where it is."""
    down, across = np.mgrid[:rows, :columns]
    return np.stack([1000 * down + across, down, across], -1).astype(np.float32) + 1


@given(
    rows=st.integers(5, 40),
    columns=st.integers(5, 40),
    side=st.integers(1, 17),
    border=st.integers(0, 2),
    wider=st.integers(0, 3),
)
def test_tiles_are_what_patches_see(rows, columns, side, border, wider):
    cube = coordinates(rows, columns)
    whole = Patches.of_scene(cube, None, 2 * border + 1).cube
    seen = np.zeros((rows, columns), int)
    for tile in cut_tiles((rows, columns), side):
        seen[tile.rows, tile.columns] += 1
        high, wide = tile.shape
        shape = (high + wider, wide + wider)
        read, _, missing = read_tile(WindowReader(Raster(cube).source()), tile, border, shape)
        assert read.shape == (shape[0] + 2 * border, shape[1] + 2 * border, 3)
        assert missing.shape == tile.shape
        assert not missing.any()
        top, left = tile.rows.start, tile.columns.start
        expected = whole[top : top + high + 2 * border, left : left + wide + 2 * border]
        assert np.array_equal(read[: high + 2 * border, : wide + 2 * border], expected)
    assert (seen == 1).all()


@pytest.mark.parametrize("dtype", [np.int16, np.float64])
def test_pixels_without_data(dtype):
    cube = coordinates(9, 8).astype(dtype)
    cube[2, 3, 1] = -99
    if dtype == np.float64:
        cube[4, 5, 0] = np.nan
        cube[6, 7, 2] = 1e300  # beyond float32
    reader = WindowReader(Raster(cube, nodata_values=(-99.0,)).source())
    (tile,) = cut_tiles((9, 8))
    read, _, missing = read_tile(reader, tile, 1, (9, 8))
    lacking = [(2, 3), (4, 5), (6, 7)] if dtype == np.float64 else [(2, 3)]
    assert sorted(zip(*np.nonzero(missing), strict=True)) == lacking
    assert (read[1:-1, 1:-1][missing] == 0).all()
    assert np.isfinite(read).all()
    seen, lacks, undeclared = look_at(reader)
    assert np.array_equal(lacks, missing)
    assert seen[~lacks].min() >= 1
    assert undeclared == len(lacking) - 1


def test_a_scene_is_a_source():
    nodata = np.zeros((9, 8), bool)
    nodata[2:4, 5] = True
    scene = Scene.from_arrays("coded", coordinates(9, 8), nodata=nodata)
    (tile,) = cut_tiles((9, 8))
    read, _, missing = read_tile(
        WindowReader(SceneSource(scene), np.array([2, 0])), tile, 0, (9, 8)
    )
    assert np.array_equal(missing, nodata)
    assert np.array_equal(read, scene.cube[..., [2, 0]])
