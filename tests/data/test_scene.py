import numpy as np
import pytest

from hsi_jax.data.scene import Scene
from hsi_jax.errors import InputError


def coded_cube(rows=4, columns=5, bands=3):
    """Value 100 * row + 10 * column + band, so that a mistaken axis shows."""
    row, column, band = np.mgrid[:rows, :columns, :bands]
    return 100 * row + 10 * column + band


LABEL_IDS = np.array([[0, 1, 10, 14, 0], [1, 1, 10, 0, 14], [0, 0, 0, 0, 0], [14, 0, 0, 0, 10]])


def test_keeps_values_and_axes():
    scene = Scene.from_arrays("coded", coded_cube().astype(np.int16), LABEL_IDS)
    assert scene.shape == (4, 5, 3)
    assert scene.cube.dtype == np.float32
    assert scene.cube[3, 4, 2] == 342
    for pixel in scene.labelled:
        assert scene.cube.reshape(-1, 3)[pixel, 0] == 100 * (pixel // 5) + 10 * (pixel % 5)


def test_labelled_are_the_flat_ids_of_labelled_pixels():
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS)
    assert scene.labelled.dtype == np.int32
    expected = [r * 5 + c for r in range(4) for c in range(5) if LABEL_IDS[r, c] != 0]
    assert scene.labelled.tolist() == expected


def test_ids_that_are_not_contiguous_are_renumbered_and_come_back():
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS, {1: "one", 14: "fourteen"})
    assert scene.class_ids == (1, 10, 14)
    assert scene.class_names == ("one", "class 10", "fourteen")
    assert scene.num_classes == 3
    assert scene.labels.dtype == np.int32
    assert scene.labels[0].tolist() == [-1, 0, 1, 2, -1]
    np.testing.assert_array_equal(scene.original_labels(scene.labels), LABEL_IDS)


def test_another_background_makes_zero_a_class():
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS, background=14)
    assert scene.class_ids == (0, 1, 10)
    np.testing.assert_array_equal(scene.original_labels(scene.labels), LABEL_IDS)


def test_original_labels_refuses_a_class_that_does_not_exist():
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS)
    with pytest.raises(IndexError):
        scene.original_labels(np.array([3]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_label_ids_of_any_numeric_dtype(dtype):
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS.astype(dtype))
    assert scene.class_ids == (1, 10, 14)
    assert all(type(class_id) is int for class_id in scene.class_ids)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_counted(bad):
    cube = coded_cube().astype(np.float64)
    cube[0, 0, 2] = cube[3, 1, 1] = cube[3, 1, 2] = bad
    with pytest.raises(InputError, match=r"the file.* 2 pixel\(s\), first in band 1 "):
        Scene.from_arrays("coded", cube, LABEL_IDS, source="the file")


@pytest.mark.parametrize(
    ("cube", "message"),
    [
        (np.zeros((4, 5)), r"shape \(4, 5\)"),
        (np.zeros((4, 5, 0)), r"shape \(4, 5, 0\)"),
        (np.zeros((4, 5, 3), complex), "complex128"),
        (np.full((4, 5, 3), "a"), "<U1"),
    ],
)
def test_what_is_not_a_cube_is_refused(cube, message):
    with pytest.raises(InputError, match=message):
        Scene.from_arrays("bad", cube, LABEL_IDS)


@pytest.mark.parametrize(
    ("label_ids", "message"),
    [
        (LABEL_IDS.T, r"shape \(5, 4\), but its cube has 4 rows and 5 columns"),
        (LABEL_IDS[None], r"shape \(1, 4, 5\)"),
        (LABEL_IDS + 0.5, "not whole numbers"),
        (np.where(LABEL_IDS == 0, np.nan, LABEL_IDS), "not whole numbers"),
        (LABEL_IDS > 0, "bool"),
        (np.zeros((4, 5), int), "unlabelled"),
        (np.where(LABEL_IDS == 10, 10, 0), "single class id 10"),
    ],
)
def test_what_is_not_its_label_map_is_refused(label_ids, message):
    with pytest.raises(InputError, match=message):
        Scene.from_arrays("bad", coded_cube(), label_ids)


@pytest.mark.parametrize("rgb_bands", [(0, 1), (0, 1, 3), (-1, 0, 1)])
def test_rgb_bands_outside_the_cube_are_refused(rgb_bands):
    with pytest.raises(InputError, match="rgb_bands"):
        Scene.from_arrays("bad", coded_cube(), LABEL_IDS, rgb_bands=rgb_bands)
