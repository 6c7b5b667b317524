"""Bands are found by wavelength; what cannot be found is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.scene.band_match import (
    Bands,
    doubt_on_order,
    doubt_on_values,
    match_bands,
    value_ranges,
)
from hsi_jax.data.scene.wavelengths import to_nanometres
from hsi_jax.errors import InputError, InputWarning


def match(trained, given):
    one, other = (Bands(len(waves), np.asarray(waves, float)) for waves in (trained, given))
    return match_bands(one, other, source="the scene").tolist()


def match_names(trained, given):
    one, other = (Bands(len(names), None, names) for names in (trained, given))
    found = match_bands(one, other, source="the scene")
    return None if found is None else found.tolist()


@given(st.permutations(range(12)), st.integers(1, 12), st.floats(-9, 9))
def test_bands_in_any_order(order, count, shift):
    given = np.array([400.0 + 50 * k for k in range(12)])
    assert match(given[order[:count]] + shift, given) == order[:count]


def test_wavelengths_that_come_twice_stay_in_order():
    wavelengths = np.array([400.0, 650, 655, 650, 655, 900])
    assert match(wavelengths, wavelengths + 0.004) == list(range(6))


FINE = 400 + 4.0 * np.arange(20)


def test_neighbours_that_are_swapped_are_found():
    given = FINE.copy()
    given[[3, 4]] = given[[4, 3]]
    assert match(FINE, given) == [0, 1, 2, 4, 3, *range(5, 20)]


@pytest.mark.parametrize("shift", [4, 8, -8])
def test_a_shift_by_whole_bands_is_refused(shift):
    with pytest.raises(InputError, match="single band"):
        match(FINE, FINE + shift)


@pytest.mark.parametrize("shift", [1.9, -1.9])
def test_a_shift_by_less_than_half_a_band_is_none(shift):
    assert match(FINE, FINE + shift) == list(range(20))


@pytest.mark.parametrize(
    ("trained", "given", "word"),
    [
        ([450, 550, 700], [450, 550, 720], "700"),
        ([450, 550, 700], [450, 550], "700"),
        ([450, 455, 700], [452, 700, 900], "450, 455"),
    ],
)
def test_missing_bands_are_named(trained, given, word):
    with pytest.raises(InputError, match=word):
        match(trained, given)


def test_bands_are_found_by_name():
    trained = ("B2", "B3", "B4", "B8")
    assert match_names(trained, ("B4", "B3", "B2", "B8")) == [2, 1, 0, 3]
    assert match_names(trained, ("b8 ", "x", "b4", "b3", "b2")) == [4, 3, 2, 0]
    assert match_names(trained, ("B04", "B03", "B02", "B08")) == [2, 1, 0, 3]
    files = ("T32_1_B4_10m", "T32_1_B3_10m", "T32_1_B2_10m", "T32_1_B8_10m")
    assert match_names(trained, files) == [2, 1, 0, 3]
    with pytest.raises(InputError, match="B8"):
        match_names(trained, ("B2", "B3", "B4", "B8A"))
    assert match_names(("B1", "B10"), ("B10", "B01")) == [1, 0]


@pytest.mark.parametrize(
    ("trained", "given"),
    [
        ((), ("B2", "B3")),
        (("B2", "B3"), ("red", "green")),
        (("Band 1", "Band 2"), ("Band 2", "Band 1")),
        (("one 1", "one 2"), ("other 2", "other 1")),
        (("B2", "B2"), ("B2", "B3")),
    ],
)
def test_names_that_tell_nothing(trained, given):
    assert match_names(trained, given) is None


def test_names_do_not_count_where_wavelengths_are_known():
    one = Bands(2, [450, 550], ("B3", "B2"))
    assert match_bands(one, Bands(2, [450, 550], ("B2", "B3")), source="it").tolist() == [0, 1]
    assert match_bands(one, Bands(2, None, ("B2", "B3")), source="it").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("trained", "given", "word"),
    [
        (Bands(2, None, ("B2", "B3")), Bands(2, None, ("red", "green")), "named red, green"),
        (Bands(2, [450, 550]), Bands(2), "the model"),
        (Bands(2), Bands(2, [450, 550]), "the file"),
        (Bands(2, [450, 550]), Bands(2, [450, 550]), None),
        (Bands(2), Bands(2, None, ("B2", "B3")), None),
    ],
)
def test_an_order_that_may_be_another_is_told(trained, given, word):
    doubt = doubt_on_order(trained, given, "it")
    assert (doubt is None) if word is None else word in doubt


CUBE = np.random.default_rng(0).uniform(0.01, 0.6, (30, 40, 5)) * np.linspace(0.5, 1, 5)
ALL = np.arange(1200)


def test_ranges_are_percentiles_of_the_pixels_named():
    cube = CUBE.copy()
    cube[0, 0] = 1e9
    ranges = np.array(value_ranges(cube, ALL[1:]))
    np.testing.assert_allclose(ranges.T, np.percentile(CUBE.reshape(-1, 5)[1:], (1, 99), axis=0))


@pytest.mark.parametrize("factor", [1e4, 100, 1 / 255, 1e-4, -1e4, 4, 1 / 4])
def test_another_unit_is_noticed(factor):
    assert doubt_on_values(value_ranges(CUBE, ALL), value_ranges(CUBE * factor, ALL), "it")


@pytest.mark.parametrize("change", [lambda band: 0 * band + 0.3, lambda band: 10 * band + 7])
def test_a_single_band_that_is_dead_or_of_another_unit_is_noticed(change):
    cube = CUBE.copy()
    cube[..., 3] = change(cube[..., 3])
    ranges = value_ranges(CUBE, ALL)
    assert "1 of 5 bands" in (doubt_on_values(ranges, value_ranges(cube, ALL), "it") or "")
    constant = value_ranges(cube * [1, 1, 1, 0, 1], ALL)
    assert doubt_on_values(constant, constant, "it") is None


@pytest.mark.parametrize("offset", [0.2, -0.2])
def test_another_offset_is_noticed(offset):
    assert doubt_on_values(value_ranges(CUBE, ALL), value_ranges(CUBE + offset, ALL), "it")


@pytest.mark.parametrize("factor", [1, 0.75, 1.3])
def test_another_light_is_not_another_unit(factor):
    ranges = value_ranges(CUBE, ALL)
    assert doubt_on_values(ranges, value_ranges(CUBE * factor, ALL), "it") is None
    assert doubt_on_values((), ranges, "it") is None


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        (["0.45", "2.5"], "Micrometers", [450, 2500]),
        ([0.45, 2.5], "Micron", [450, 2500]),
        ([450, 2500], "nm", [450, 2500]),
        ([450, 2500], None, [450, 2500]),
        ([0.45, 14], "Unknown", [450, 14000]),
        ([4500, 25000], "Angstroms", [450, 2500]),
        ([450e-9, 2500e-9], "Meters", [450, 2500]),
        ([1e7 / 450, 4000], "Wavenumber", [450, 2500]),
        ([299792.458, 150000], "GHz", [1000, 1998.6163867]),
    ],
)
def test_units(values, unit, expected):
    found = to_nanometres(values, unit)
    assert found is not None
    assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "unit", "word"),
    [([450, 0], "nm", "positive"), (["a"], "nm", "numbers"), ([1, 2], "Index", "Index")],
)
def test_wavelengths_that_are_dropped_are_told(values, unit, word):
    with pytest.warns(InputWarning, match=word):
        assert to_nanometres(values, unit) is None
