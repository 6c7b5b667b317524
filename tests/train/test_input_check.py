import numpy as np
import pytest

from hsi_jax.train import Patches, Replicas, Samples, Stream
from hsi_jax.train.input_check import find_input
from tests.train.small_scene import COLUMNS, ROWS


@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
@pytest.mark.parametrize("centre", [(0, 0), (5, 6), (ROWS - 1, COLUMNS - 1)])
def test_the_pixel_of_an_odd_input_is_named(cube, labels, value, centre):
    row, column = 1 if centre[0] == 0 else ROWS - 2, 1 if centre[1] == 0 else COLUMNS - 2
    if centre == (5, 6):
        row, column = 6, 5
    broken = cube.copy()
    broken[row, column, 7] = value
    replicas = Replicas(2, Patches.of_scene(broken, labels, 5))
    ids = np.array([centre[0] * COLUMNS + centre[1]], np.int32)
    found = find_input(replicas, ids)
    assert found == (
        f"the input of the pixel in row {row}, column {column}, channel 7 (counted from 0) is "
        f"{value:g}"
    )
    assert find_input(replicas, np.array([3 * COLUMNS + 10], np.int32)) is None


@pytest.mark.parametrize("streamed", [False, True])
def test_the_sample_of_an_odd_input_is_named(streamed):
    inputs = np.zeros((200, 3), np.float32)
    inputs[150, 2] = 1e7
    classes = np.zeros(200, np.int32)
    samples = Samples((inputs, classes))
    if streamed:
        samples = Stream(lambda ids: (inputs[ids], classes[ids]))
    replicas = Replicas(1, samples)
    assert find_input(replicas, np.arange(200)) == "the input of sample 150, channel 2 is 1e+07"
    assert find_input(replicas, np.arange(150)) is None


def test_pictures_of_whole_numbers_are_sound():
    images = np.full((4, 2, 2, 3), 255, np.uint8)
    assert find_input(Replicas(1, Samples((images, np.zeros(4)))), np.arange(4)) is None
