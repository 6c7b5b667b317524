import jax
import numpy as np
import pytest

from hsi_jax.data import Preprocessing
from hsi_jax.errors import InputError
from hsi_jax.train import Patches, Replicas

ROWS, COLUMNS, BANDS = 7, 9, 4


def code(row, column, band):
    return row * 10_000 + column * 100 + band


@pytest.fixture(scope="module")
def coded():
    cube = np.fromfunction(code, (ROWS, COLUMNS, BANDS)).astype(np.float32)
    labels = np.arange(ROWS * COLUMNS, dtype=np.int32).reshape(ROWS, COLUMNS)
    return cube, labels


def mirrored(index: int, size: int) -> int:
    """The index that a position outside the scene mirrors; the edge itself is not repeated."""
    if index < 0:
        return -index
    return index if index < size else 2 * (size - 1) - index


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_every_patch_holds_the_window_around_its_pixel(coded, size):
    cube, labels = coded
    ids = np.arange(ROWS * COLUMNS, dtype=np.int32)
    taken, taken_labels = jax.jit(Patches.take)(Patches.of_scene(cube, labels, size), ids, 0)
    assert taken.shape == (len(ids), size, size, BANDS)
    for pixel in ids:
        row, column = divmod(int(pixel), COLUMNS)
        for i in range(size):
            for j in range(size):
                there = (
                    mirrored(row + i - size // 2, ROWS),
                    mirrored(column + j - size // 2, COLUMNS),
                )
                expected = [code(*there, band) for band in range(BANDS)]
                assert taken[pixel, i, j].tolist() == expected
        assert taken_labels[pixel] == labels[row, column]


def test_patches_hold_zero_where_there_are_no_data(coded):
    cube, labels = coded
    nodata = np.zeros((ROWS, COLUMNS), bool)
    nodata[2, 3] = nodata[:, -1] = True
    patches = Patches.of_scene(cube, labels, 3, nodata=nodata)
    expected = Patches.of_scene(np.where(nodata[..., None], 0, cube), labels, 3)
    np.testing.assert_array_equal(patches.cube, expected.cube)
    (patch,), _ = patches.take(np.array([2 * COLUMNS + 2], np.int32), 0)
    assert not patch[1, 2].any()
    assert patch[1, 1].tolist() == [code(2, 2, band) for band in range(BANDS)]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_transform_on_the_way_gives_what_it_gives_before(coded, size):
    _, labels = coded
    cube = np.random.default_rng(0).normal(size=(ROWS, COLUMNS, BANDS)).astype(np.float32)
    fitted = Preprocessing.fit(cube, np.arange(0, cube[..., 0].size, 3), 2)
    patches = Patches.of_scene(cube, labels, size, preprocessing=fitted)
    border = size // 2
    expected = np.pad(
        fitted.transform(cube), ((border, border), (border, border), (0, 0)), mode="reflect"
    )
    np.testing.assert_array_equal(patches.cube, expected)


def test_emulated_devices_share_one_cube(coded):
    patches = Patches.of_scene(*coded, 3)
    replicas = Replicas(2, patches)
    shards = replicas.samples.cube.addressable_shards
    assert {shard.data.unsafe_buffer_pointer() for shard in shards} == {patches.cube.ctypes.data}


@pytest.mark.parametrize("size", [0, -1, 2, 4])
def test_patch_size_must_be_odd(coded, size):
    with pytest.raises(InputError, match=f"patch_size.*{size}"):
        Patches.of_scene(*coded, size)


def test_patch_size_may_reach_the_scene_but_not_exceed_it(coded):
    Patches.of_scene(*coded, ROWS)
    with pytest.raises(InputError, match="larger than the scene of 7 x 9 pixels; give at most 7"):
        Patches.of_scene(*coded, ROWS + 2)
