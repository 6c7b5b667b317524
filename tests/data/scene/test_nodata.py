import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hsi_jax.data.scene.bands import constant_bands
from hsi_jax.data.scene.fill_values import find_fill_values
from hsi_jax.data.scene.nodata import find_nodata, holds, nodata_mask, uncounted_bands
from hsi_jax.data.scene.read_options import format_value

FILL = -9999


@given(
    cube=hnp.arrays(np.int16, (3, 4, 5), elements=st.sampled_from([0, 1, 7, FILL])),
    values=st.lists(st.sampled_from([0, 1, FILL]), unique=True, max_size=3),
)
def test_a_pixel_has_no_data_if_a_band_holds_a_value_or_all_hold_zero(cube, values):
    found = find_nodata(cube, values)
    for row, column in np.ndindex(3, 4):
        spectrum = cube[row, column]
        some = any(value in spectrum for value in values if value != 0)
        zero = 0 in values and not spectrum.any()
        assert found.mask[row, column] == (some or zero)
        whole = np.isin(spectrum, values).all()
        assert not whole or found.mask[row, column]
    assert set(found.absent) >= {value for value in values if value not in cube}


def test_bands_that_do_not_count():
    cube = np.full((2, 2, 3), 5)
    cube[..., 1] = FILL
    cube[0, 0] = FILL
    assert find_nodata(cube, (FILL,), (1,)).mask.tolist() == [[True, False], [False, False]]
    assert not find_nodata(cube, (FILL,), (0, 1, 2)).mask.any()


def test_pixels_that_have_data_in_part_are_counted():
    cube = np.full((2, 2, 3), 5.0)
    cube[0, 0] = np.nan
    cube[1, 1, 2] = np.inf
    found = find_nodata(cube, (np.nan,))
    assert found.mask.tolist() == [[True, False], [False, True]]
    assert found.in_part == 1


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "u8", "f2", "f4", ">f4", "f8", "longdouble"])
@pytest.mark.parametrize("value", [0, 1, -9999, 65535, 1.5, 1e30, -3.4028235e38, -1e308, np.nan])
def test_values_beyond_a_dtype_are_nowhere(dtype, value):
    array = np.array([0, 1, 3], dtype)
    assert holds(array, value).tolist() == [bool(x == value) for x in (0, 1, 3)]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_value_is_found_again_from_its_text(value):
    assert holds(np.array([value], np.float32), float(format_value(value))).all()


def spectra(rows=10, columns=12, bands=8):
    return np.random.default_rng(0).uniform(100, 900, (rows, columns, bands)).astype(np.float32)


def find(cube, labelled=None):
    return find_fill_values(cube, np.ones(cube.shape[:2], bool), labelled)


def test_usual_spectra_hold_no_fill_value():
    assert find(spectra()) == []
    assert find(np.full((10, 12, 8), 3.0)) == []


@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.95])
def test_a_fill_value_is_found_however_many_pixels_hold_it(fraction):
    cube = spectra()
    held = np.random.default_rng(1).random((10, 12)) < fraction
    cube[held] = FILL
    (fill,) = find(cube, labelled=np.ones((10, 12), bool))
    assert (fill.value, fill.pixels, fill.labelled) == (FILL, held.sum(), held.sum())
    assert fill.spoils
    assert fill.whole


def test_zeros_spoil_only_where_something_is_labelled_and_they_are_far():
    cube, labelled = spectra(), np.zeros((10, 12), bool)
    cube[0] = 0
    for shift, inside, spoils in ((0, True, False), (5000, False, False), (5000, True, True)):
        labelled[0] = inside
        (fill,) = find(np.where(cube == 0, 0, cube + shift), labelled)
        assert (fill.value, fill.pixels, fill.spoils) == (0, 12, spoils)


def test_a_single_value_far_outside_is_found():
    cube = spectra()
    cube[3, 4, 5] = 1e20
    (fill,) = find(cube)
    assert (fill.value, fill.pixels, fill.whole) == (np.float32(1e20), 1, False)
    cube[3, 4, 5] = 9000  # a bright pixel is a measurement
    assert find(cube) == []


def test_saturated_spectra_are_near_and_kept_but_named():
    cube = spectra()
    cube[2:4] = 1000
    (fill,) = find(cube)
    assert (fill.value, fill.pixels, fill.spoils, fill.whole) == (1000, 24, False, True)
    assert find(cube[..., :3]) == []  # of three bands, many spectra are grey
    cube[2:4] = 500  # which is nothing but a flat spectrum
    assert find(cube) == []


def test_one_value_that_stands_often_in_some_bands_is_named():
    cube = spectra()
    cube[2:4, :, 3] = -4000
    (fill,) = find(cube)
    assert (fill.value, fill.pixels, fill.spoils, fill.whole) == (-4000, 24, False, False)
    cube[2:4, :, 3] = np.random.default_rng(0).uniform(4000, 5000, (2, 12))  # what is measured
    assert find(cube) == []


def test_constant_bands():
    cube = spectra()
    cube[..., 2], cube[..., 5] = 7, np.nan
    cube[..., 6] = 7
    cube[9, 11, 6] = 8
    assert constant_bands(cube) == [2, 5]
    has_data = np.ones((10, 12), bool)
    has_data[9, 11] = False
    assert constant_bands(cube, has_data) == [2, 5, 6]


def test_a_value_at_the_end_of_a_continuous_range_is_saturated_and_does_not_stop():
    rng = np.random.default_rng(0)
    cube = rng.normal(70, 15, (40, 40, 3)).round().clip(10, 120).astype(np.uint8)
    bright = np.zeros((40, 40), bool)
    bright[:2, :19] = True
    cube[4, :29, 1] = np.arange(110, 255, 5)  # values on the way to saturation
    cube[bright] = 255
    labelled = np.ones((40, 40), bool)
    (fill,) = find(cube, labelled)
    assert (fill.value, fill.pixels, fill.saturated, fill.spoils) == (255, 38, True, False)
    cube[4] = 70  # without them it is far from all others
    (fill,) = find(cube, labelled)
    assert (fill.saturated, fill.spoils) == (False, True)


@pytest.mark.parametrize(("row", "spoils"), [(3, True), (9, False)])
def test_only_values_that_enter_the_training_spoil_it(row, spoils):
    cube, labelled = spectra(rows=12), np.zeros((12, 12), bool)
    labelled[row] = True
    cube[:3] = FILL
    (fill,) = find(cube, labelled)
    assert (fill.labelled, fill.spoils) == (0, spoils)


def test_bands_of_one_value_do_not_count_and_little_is_read():
    cube = np.full((6, 5, 3), 4)
    cube[3] = 0
    cube[..., 1] = 7
    read = []

    def blocks():
        for row in cube:
            read.append(row)
            yield row

    assert uncounted_bands(blocks(), ()) == ()
    assert not read
    assert uncounted_bands(blocks(), (0,)) == (1,)
    assert (nodata_mask(cube, (0,), (1,)) == (cube[..., 0] == 0)).all()
    assert uncounted_bands(iter(np.ones((6, 5, 3))), (0,)) == ()  # all bands are such
    cube[0, 0] = 1, 2, 3
    read.clear()
    assert uncounted_bands(blocks(), (0,)) == ()
    assert len(read) == 1
