import numpy as np
import pytest

from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene import Scene
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
    scene = Scene.from_arrays(
        "coded", coded_cube(), LABEL_IDS, class_names={1: "one", 14: "fourteen"}
    )
    assert scene.class_ids == (1, 10, 14)
    assert scene.class_names == ("one", "class 10", "fourteen")
    assert scene.num_classes == 3
    assert scene.require_labels().dtype == np.int32
    assert scene.require_labels()[0].tolist() == [-1, 0, 1, 2, -1]
    np.testing.assert_array_equal(scene.original_labels(scene.require_labels()), LABEL_IDS)


def test_another_unlabelled_id_makes_zero_a_class():
    reading = ReadOptions(unlabelled=(14,))
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS, reading=reading)
    assert scene.class_ids == (0, 1, 10)
    np.testing.assert_array_equal(scene.original_labels(scene.require_labels()), LABEL_IDS)


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
    with pytest.raises(InputError, match=r"the file.* 2 pixel.* 1 "):
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
        (LABEL_IDS.T, r"\(5, 4\).*swapped"),
        (LABEL_IDS[:2], r"shape \(2, 5\).*4 rows.*5 columns"),
        (LABEL_IDS + 0.5, "whole"),
        (np.zeros((4, 5), int), "unlabelled"),
        (np.where(LABEL_IDS == 10, 10, 0), "id 10"),
    ],
)
def test_what_is_not_its_label_map_is_refused(label_ids, message):
    with pytest.raises(InputError, match=message):
        Scene.from_arrays("bad", coded_cube(), label_ids)


def test_a_scene_without_labels_has_no_classes_and_says_so():
    scene = Scene.from_arrays("new", coded_cube(), class_names={1: "one"})
    assert not scene.has_labels
    assert scene.labels is None
    assert (scene.class_ids, scene.class_names, scene.num_classes) == ((), (), 0)
    np.testing.assert_array_equal(scene.cube, coded_cube())
    for ask in (
        scene.require_labels,
        lambda: scene.labelled,
        lambda: scene.original_labels(np.zeros((2, 2), int)),
    ):
        with pytest.raises(InputError, match=r"new .*`labels`"):
            ask()


def test_a_scene_with_labels_gives_them():
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS)
    assert scene.has_labels
    assert scene.require_labels() is scene.labels


def test_place_and_wavelengths_are_kept():
    scene = Scene.from_arrays(
        "coded",
        coded_cube(),
        wavelengths=[400, 500, 600],
        crs="EPSG:32616",
        transform=[20, 0, 5e5, 0, -20, 4e6],
    )
    assert scene.wavelengths is not None
    assert scene.wavelengths.dtype == np.float64
    assert scene.wavelengths.tolist() == [400, 500, 600]
    assert scene.crs == "EPSG:32616"
    assert scene.transform is not None
    assert scene.transform == (20, 0, 5e5, 0, -20, 4e6)
    assert {type(number) for number in scene.transform} == {float}


def test_what_is_not_given_is_none():
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS)
    assert (scene.wavelengths, scene.nodata, scene.crs, scene.transform) == (None,) * 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300, -9999])
def test_pixels_without_data_become_zero_and_unlabelled(bad):
    nodata = np.zeros((4, 5), bool)
    nodata[0, :2] = nodata[3, 4] = True
    cube = coded_cube().astype(np.float64)
    cube[nodata] = bad
    before, label_ids = cube.copy(), LABEL_IDS.copy()
    scene = Scene.from_arrays("coded", cube, label_ids, nodata=nodata)
    np.testing.assert_array_equal(scene.nodata, nodata)
    np.testing.assert_array_equal(scene.cube[nodata], 0)
    np.testing.assert_array_equal(scene.cube[~nodata], coded_cube()[~nodata])
    expected = np.where(nodata, 0, LABEL_IDS)
    np.testing.assert_array_equal(scene.original_labels(scene.require_labels()), expected)
    np.testing.assert_array_equal(cube, before)
    np.testing.assert_array_equal(label_ids, LABEL_IDS)


def test_arrays_that_need_no_conversion_are_not_changed_either():
    cube, label_ids = coded_cube().astype(np.float32), LABEL_IDS.astype(np.int64)
    Scene.from_arrays("coded", cube, label_ids, nodata=np.eye(4, 5, dtype=bool))
    np.testing.assert_array_equal(cube, coded_cube())
    np.testing.assert_array_equal(label_ids, LABEL_IDS)


def test_a_class_only_where_there_is_no_data_is_no_class():
    scene = Scene.from_arrays("coded", coded_cube(), LABEL_IDS, nodata=LABEL_IDS == 14)
    assert scene.class_ids == (1, 10)
    with pytest.raises(InputError, match="id 1"):
        Scene.from_arrays("coded", coded_cube(), LABEL_IDS, nodata=LABEL_IDS > 1)


def test_values_that_are_not_finite_are_refused_where_there_is_data():
    cube = coded_cube().astype(np.float32)
    cube[0, 0] = cube[1, 1] = np.nan
    with pytest.raises(InputError, match=r" 1 pixel"):
        Scene.from_arrays("coded", cube, nodata=np.arange(20).reshape(4, 5) == 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wavelengths", [400, 500]),
        ("wavelengths", [[400, 500, 600]]),
        ("wavelengths", [400, np.nan, 600]),
        ("wavelengths", [400, 500, np.inf]),
        ("wavelengths", [0, 500, 600]),
        ("wavelengths", ["400", "500", "600"]),
        ("nodata", np.zeros((5, 4), bool)),
        ("nodata", np.zeros((4, 5, 3), bool)),
        ("nodata", np.zeros((4, 5), int)),
        ("nodata", np.ones((4, 5), bool)),
        ("transform", (1, 0, 0, 0, 1)),
        ("transform", (1, 0, 0, 0, 1, np.nan)),
    ],
)
def test_what_does_not_fit_the_cube_is_refused(name, value):
    with pytest.raises(InputError, match=f"`{name}`.*the file"):
        Scene.from_arrays("bad", coded_cube(), LABEL_IDS, source="the file", **{name: value})


@pytest.mark.parametrize("rgb_bands", [(0, 1), (0, 1, 3), (-1, 0, 1)])
def test_rgb_bands_outside_the_cube_are_refused(rgb_bands):
    with pytest.raises(InputError, match="rgb_bands"):
        Scene.from_arrays("bad", coded_cube(), LABEL_IDS, rgb_bands=rgb_bands)
