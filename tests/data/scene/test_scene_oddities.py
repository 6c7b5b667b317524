"""Cubes and label maps as people have them, from files to a scene: each gives the right value, or
an error that names what is wrong and what to do."""

import re

import numpy as np
import pytest

from hsi_jax.data.scene.label_ids import UNLABELLED
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene_file import LABELLED_ONLY_NOTE, file_scene
from hsi_jax.errors import InputError

ROWS, COLUMNS, BANDS, CLASSES = 20, 26, 12, 4
LOWEST = np.finfo(np.float32).min  # GDAL's value for no data


def small_scene():
    """int16 cube, and labels 1..4 in vertical stripes inside a border of 0."""
    rng = np.random.default_rng(0)
    spectra = rng.uniform(500, 3000, (CLASSES, BANDS))
    labels = np.repeat(1 + np.arange(COLUMNS) * CLASSES // COLUMNS, ROWS)
    labels = labels.reshape(COLUMNS, ROWS).T.astype(np.uint8)
    cube = spectra[labels - 1] + rng.normal(0, 60, (ROWS, COLUMNS, BANDS))
    labels[:3] = labels[-3:] = 0
    labels[:, :3] = labels[:, -3:] = 0
    return cube.round().astype(np.int16), labels


CUBE, LABELS = small_scene()
CLASS_MAP = LABELS.astype(np.int32) - 1
LINE = np.zeros(LABELS.shape, bool)  # outside of the flight line
LINE[:, :5] = LINE[:6] = True
MANY = np.zeros(LABELS.shape, np.int32)
MANY[3:-3, 3:-3] = 1 + np.arange(14 * 20).reshape(14, 20)
LARGE = np.where(LABELS > 0, LABELS.astype(np.int64) * 700_000_000, 0)


def with_id(value, row=10, column=10):
    labels = LABELS.copy()
    labels[row, column] = value
    return labels


def with_value(value, where, dtype=np.float32, bands=slice(None)):
    cube = CUBE.astype(dtype)
    part = cube[where]
    part[..., bands] = value
    cube[where] = part
    return cube


def save(folder, name, array):
    np.save(folder / f"{name}.npy", array, allow_pickle=True)
    return folder / f"{name}.npy"


# name: (labels, flags, classes of pixels, words that must be said)
UNDERSTOOD_LABELS = {
    "as usual": (LABELS, {}, CLASS_MAP, "0 is taken as unlabelled.*`unlabelled`=none"),
    "fractions": (LABELS.astype(np.float32), {}, CLASS_MAP, ""),
    "NaN": (np.where(LABELS == 0, np.nan, LABELS), {}, CLASS_MAP, r"NaN \(240 pixels\)"),
    "-1 for no class": (
        np.where(LABELS == 0, -1, LABELS.astype(int)),
        {},
        CLASS_MAP,
        r"-1 \(240 pixels\) is taken as unlabelled",
    ),
    "the lowest integer": (
        np.where(LABELS == 0, -(2**31), LABELS.astype(int)),
        {},
        CLASS_MAP,
        r"-2147483648 \(240 pixels\)",
    ),
    "the lowest float": (np.where(LABELS == 0, LOWEST, LABELS), {}, CLASS_MAP, "240 pixels"),
    "counted from 0, -1 for no class": (
        CLASS_MAP,
        {"unlabelled": "-1"},
        CLASS_MAP,
        "",
    ),
    "counted from 0, 255 for no class": (
        np.where(LABELS == 0, 255, CLASS_MAP).astype(np.uint8),
        {"unlabelled": "255"},
        CLASS_MAP,
        "",
    ),
    "counted from 0, all labelled": (
        CLASS_MAP.clip(0),
        {"unlabelled": "none"},
        CLASS_MAP.clip(0),
        "",
    ),
    "several for no class": (
        with_id(255),
        {"unlabelled": "0,255"},
        np.where(with_id(255) == 255, -1, CLASS_MAP),
        "",
    ),
    "the largest uint32": (
        np.where(LABELS == 0, 2**32 - 1, LABELS.astype(np.uint32)),
        {"unlabelled": str(2**32 - 1)},
        CLASS_MAP,
        "",
    ),
    "an id that is not there": (LABELS, {"unlabelled": "0,254"}, CLASS_MAP, "No pixel has .* 254"),
    "255 as a class": (
        np.where(LABELS == 4, 255, LABELS),
        {"unlabelled": "0"},
        CLASS_MAP,
        r"255 .*looks like 'no data', but is taken as a class",
    ),
    "a trailing axis": (LABELS[..., None], {}, CLASS_MAP, ""),
    "a leading axis": (LABELS[None], {}, CLASS_MAP, ""),
    "true and false": (LABELS > 2, {}, (LABELS > 2).astype(int), "true and false: two classes"),
    "one-hot": (np.eye(5, dtype=np.uint8)[LABELS][..., 1:], {}, CLASS_MAP, "one-hot"),
    "one-hot, layers first": (
        np.moveaxis(np.eye(5)[LABELS][..., 1:], 2, 0),
        {},
        CLASS_MAP,
        "one-hot",
    ),
    "many classes": (MANY, {}, MANY - 1, ""),
    "gaps as in Salinas-A": (
        np.array([0, 1, 10, 12, 14])[LABELS],
        {},
        CLASS_MAP,
        "0 is taken as unlabelled",
    ),
    "an id far away that is no usual value for no class": (
        np.where(LABELS == 4, 250, LABELS),
        {},
        CLASS_MAP,
        r"250 .* far from the others and is taken as a class.*`unlabelled`=0,250",
    ),
    "a class of one pixel": (
        with_id(9),
        {},
        np.where(with_id(9) == 9, 4, CLASS_MAP),
        "",
    ),
}


@pytest.mark.parametrize("name", UNDERSTOOD_LABELS)
def test_labels_are_understood(name, tmp_path):
    labels, flags, expected, said = UNDERSTOOD_LABELS[name]
    reading = ReadOptions.parse(**flags)
    cube = save(tmp_path, "cube", CUBE)
    scene = file_scene(cube, save(tmp_path, "gt", labels), reading=reading)
    np.testing.assert_array_equal(scene.labels, expected)
    np.testing.assert_array_equal(scene.cube, CUBE)
    remarks = " ".join(scene.remarks)
    assert re.search(said, remarks) if said else not remarks.replace(USUAL, "")
    held = sum(scene.unlabelled_counts.values())
    assert held == np.count_nonzero(expected == UNLABELLED)
    written = scene.original_labels(scene.require_labels())
    assert set(np.unique(written[expected == UNLABELLED])).isdisjoint(scene.class_ids)


USUAL = "The id 0 is taken as unlabelled; if it is a class, `unlabelled`=none."

# name: (labels, words of the error)
REFUSED_LABELS = {
    "255 beside 0": (
        np.where(LABELS == 0, 255, CLASS_MAP),
        r"255 \(240 pixels\).*`unlabelled`=0,255.*`unlabelled`=0 .*`unlabelled`=255",
    ),
    "255 without 0": (np.where(LABELS == 0, 255, LABELS), "=255.*=none if 255 is a class"),
    "-1 beside 0": (CLASS_MAP, r"-1 \(240 pixels\).*`unlabelled`=0,-1.*`unlabelled`=-1"),
    "NaN beside 0": (np.where(LABELS == 1, np.nan, LABELS), "NaN .*`unlabelled`=0 .*=none"),
    "65535": (with_id(0).astype(np.uint16) + 65535 * (LABELS == 0), r"65535 .*0,65535|=65535"),
    "an id far away": (np.where(LABELS == 0, 99, LABELS), r"99 \(240 pixels\)"),
    "more than 32 bits": (LARGE, "2800000000.*32 bits"),
    "halves": (LABELS / 2, "whole number"),
    "infinity": (np.where(LABELS == 0, np.inf, LABELS), "inf.*NaN or 0"),
    "a list": (LABELS.ravel(), r"\(520,\).* list"),
    "rows and columns swapped": (LABELS.T, "swapped"),
    "of another scene": (LABELS[:-1], "no order of the axes fits"),
    "the cube itself": (CUBE, "not one-hot"),
    "two classes at once": (np.ones((ROWS, COLUMNS, 3), int), "not one-hot"),
    "objects": (LABELS.astype(object), "objects"),
    "text": (LABELS.astype("U3"), "Its arrays|text"),
    "complex numbers": (LABELS.astype(complex), "Its arrays|complex"),
    "one class": (np.minimum(LABELS, 1), "single class"),
    "no class": (0 * LABELS, "unlabelled"),
}


@pytest.mark.parametrize("name", REFUSED_LABELS)
def test_labels_are_refused(name, tmp_path):
    labels, words = REFUSED_LABELS[name]
    cube = save(tmp_path, "cube", CUBE)
    with pytest.raises(InputError, match=words):
        file_scene(cube, save(tmp_path, "gt", labels))


# name: (cube, flags, cube of the scene, words that must be said)
UNDERSTOOD_CUBES = {
    "bands first": (np.moveaxis(CUBE, 2, 0), {}, CUBE, "bands, rows, columns"),
    "bands between": (np.moveaxis(CUBE, 2, 1), {}, CUBE, "rows, bands, columns"),
    "bands first, as said": (np.moveaxis(CUBE, 2, 0), {"band_axis": "0"}, CUBE, ""),
    "the order of Fortran": (np.asfortranarray(CUBE), {}, CUBE, ""),
    "big-endian": (CUBE.astype(">i2"), {}, CUBE, ""),
    "half precision": (CUBE.astype(np.float16), {}, CUBE.astype(np.float16), ""),
    "long double": (CUBE.astype(np.longdouble), {}, CUBE, ""),
    "constant bands": (with_value(-9999, ..., np.int16, [3, 7]), {}, ..., "bands 3,7 .*constant"),
    "constant bands left out": (
        with_value(-9999, ..., np.int16, [3, 7]),
        {"drop_bands": "constant"},
        np.delete(CUBE, [3, 7], 2),
        "",
    ),
    "an empty band left out": (
        with_value(np.nan, ..., np.float32, [3]),
        {"drop_bands": "constant"},
        np.delete(CUBE, 3, 2),
        "",
    ),
    "bands left out": (CUBE, {"drop_bands": "2-4,11"}, CUBE[..., [0, 1, *range(5, 11)]], ""),
    "0 where nothing is labelled": (
        np.where(LABELS[..., None] == 0, 0, CUBE),
        {},
        np.where(LABELS[..., None] == 0, 0, CUBE),
        r"0 in all bands of 240 pixels \(0 of them labelled\).*`nodata`=0",
    ),
    "0 in the flight line's margin": (
        with_value(0, LINE),
        {},
        with_value(0, LINE),
        rf"0 in all bands of {LINE.sum()} pixels",
    ),
    "a fill value that is kept": (
        with_value(-9999, LINE, np.int16),
        {"keep_fill_values": True},
        with_value(-9999, LINE, np.int16),
        "-9999 .*taken as data",
    ),
}


@pytest.mark.parametrize("name", UNDERSTOOD_CUBES)
def test_cubes_are_understood(name, tmp_path):
    cube, flags, expected, said = UNDERSTOOD_CUBES[name]
    expected = cube if expected is ... else expected
    labels = save(tmp_path, "gt", LABELS)
    scene = file_scene(save(tmp_path, "cube", cube), labels, reading=ReadOptions.parse(**flags))
    np.testing.assert_array_equal(scene.cube, expected.astype(np.float32))
    np.testing.assert_array_equal(scene.labels, CLASS_MAP)
    assert scene.cube.flags.c_contiguous
    remarks = " ".join(scene.remarks)
    assert re.search(said, remarks) if said else remarks == USUAL


FILLS = {
    "-9999": ("-9999", np.int16),
    "the lowest float": ("-3.40282347e+38", np.float32),
    "1e30": ("1e30", np.float32),
    "the lowest double": ("-1.7976931348623157e308", np.float64),
    "not finite": ("nan", np.float32),
    "0": ("0", np.uint16),
}


@pytest.mark.parametrize("where", ["everywhere", "unlabelled"])
@pytest.mark.parametrize("name", FILLS)
def test_declared_values_are_no_data(name, where, tmp_path):
    text, dtype = FILLS[name]
    line = LINE if where == "everywhere" else LINE & (LABELS == 0)
    cube = save(tmp_path, "cube", with_value(dtype(float(text)), line, dtype))
    reading = ReadOptions.parse(nodata=text)
    scene = file_scene(cube, save(tmp_path, "gt", LABELS), reading=reading)
    np.testing.assert_array_equal(scene.nodata, line)
    np.testing.assert_array_equal(scene.cube, np.where(line[..., None], 0, CUBE))
    np.testing.assert_array_equal(scene.labels, np.where(line, -1, CLASS_MAP))
    assert scene.nodata_labelled == np.count_nonzero(line & (LABELS > 0))
    assert scene.unlabelled_counts == {"0": np.count_nonzero((LABELS == 0) & ~line)}


@pytest.mark.parametrize("where", ["everywhere", "unlabelled"])
@pytest.mark.parametrize("name", [name for name in FILLS if name != "0"])
def test_values_that_are_not_declared_are_named_with_the_flag(name, where, tmp_path):
    text, dtype = FILLS[name]
    line = LINE if where == "everywhere" else LINE & (LABELS == 0)
    cube = save(tmp_path, "cube", with_value(dtype(float(text)), line, dtype))
    with pytest.raises(InputError, match=r"`nodata`=") as caught:
        file_scene(cube, save(tmp_path, "gt", LABELS))
    found = re.search(r"`nodata`=(\S+)", str(caught.value))
    assert found is not None
    assert f"{line.sum()} pixel" in str(caught.value)
    reading = ReadOptions.parse(nodata=found[1])  # what the message says is enough
    np.testing.assert_array_equal(
        file_scene(cube, tmp_path / "gt.npy", reading=reading).nodata, line
    )


# name: (cube, flags, words of the error)
REFUSED_CUBES = {
    "an empty band": (with_value(np.nan, ..., np.float32, [3]), {}, "`drop_bands`=3 "),
    "a value far outside in one band": (
        with_value(1e30, LINE, np.float32, [5]),
        {},
        "1e.30 in some bands.*`nodata`=1e.30",
    ),
    "rows and columns swapped": (CUBE.transpose(1, 0, 2), {}, "swapped"),
    "the wrong axis": (CUBE, {"band_axis": "0"}, "`band_axis`=2 instead of 0"),
    "a list beside a map": (CUBE.reshape(-1, BANDS), {}, r"\[pixels, bands\]"),
    "no such band": (CUBE, {"drop_bands": "12"}, "bands 0 to 11"),
    "no band left": (CUBE, {"drop_bands": "0-11"}, "none of the 12 bands"),
    "no pixel left": (np.full_like(CUBE, 7), {"nodata": "7"}, "no pixel with data"),
    "a hole in each spectrum": (
        np.where(np.arange(BANDS) == np.arange(COLUMNS)[:, None] % BANDS, -9999, CUBE),
        {"nodata": "-9999"},
        "no pixel with data",
    ),
    "complex numbers": (CUBE.astype(complex), {}, "Its arrays|complex"),
}


@pytest.mark.parametrize("name", REFUSED_CUBES)
def test_cubes_are_refused(name, tmp_path):
    cube, flags, words = REFUSED_CUBES[name]
    labels = save(tmp_path, "gt", LABELS)
    with pytest.raises(InputError, match=words):
        file_scene(save(tmp_path, "cube", cube), labels, reading=ReadOptions.parse(**flags))


def test_a_list_of_pixels_with_a_list_of_labels(tmp_path):
    spectra = CUBE.reshape(-1, BANDS)
    labels = save(tmp_path, "gt", LABELS.ravel())
    for cube in (spectra, spectra.T):
        scene = file_scene(save(tmp_path, "cube", cube), labels)
        assert scene.shape == (ROWS * COLUMNS, 1, BANDS)
        np.testing.assert_array_equal(scene.cube[:, 0], spectra)
        np.testing.assert_array_equal(scene.labels, CLASS_MAP.reshape(-1, 1))


def test_one_file_with_cube_and_labels(tmp_path):
    np.savez(tmp_path / "both.npz", cube=CUBE, gt=LABELS)
    scene = file_scene(tmp_path / "both.npz", tmp_path / "both.npz")
    np.testing.assert_array_equal(scene.labels, CLASS_MAP)


def test_a_scene_that_is_zero_where_nothing_is_labelled_has_its_note(tmp_path):
    cube = save(tmp_path, "cube", np.where(LABELS[..., None] == 0, 0, CUBE))
    labels = save(tmp_path, "gt", LABELS)
    assert file_scene(cube, labels).note == LABELLED_ONLY_NOTE
    assert file_scene(cube, labels, reading=ReadOptions(nodata=(0,))).note == LABELLED_ONLY_NOTE
    elsewhere = np.where((LABELS[..., None] == 0) & (np.arange(COLUMNS)[:, None] > 9), -1, CUBE)
    assert file_scene(save(tmp_path, "cube", elsewhere), labels).note == ""


def test_advice_keeps_what_was_said_already(tmp_path):
    cube = CUBE.astype(np.float32)
    cube[0] = -9999
    cube[1] = -32000
    cube[..., 1] = np.nan
    flags = {"nodata": "-9999", "drop_bands": "0"}
    for name, value in (("drop_bands", "0-1"), ("nodata", "-9999,-32000")):
        with pytest.raises(InputError, match=f"`{name}`={value} "):
            file_scene(
                save(tmp_path, "cube", cube),
                save(tmp_path, "gt", LABELS),
                reading=ReadOptions.parse(**flags),
            )
        flags[name] = value
    file_scene(
        save(tmp_path, "cube", cube),
        save(tmp_path, "gt", LABELS),
        reading=ReadOptions.parse(**flags),
    )
