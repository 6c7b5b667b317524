import jax
import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.train import Patches

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


@pytest.mark.parametrize("size", [0, -1, 2, 4])
def test_patch_size_must_be_odd(coded, size):
    with pytest.raises(InputError, match=f"--patch_size={size}: give an odd number"):
        Patches.of_scene(*coded, size)


def test_patch_size_may_reach_the_scene_but_not_exceed_it(coded):
    Patches.of_scene(*coded, ROWS)
    with pytest.raises(InputError, match="larger than the scene of 7 x 9 pixels; give at most 7"):
        Patches.of_scene(*coded, ROWS + 2)
