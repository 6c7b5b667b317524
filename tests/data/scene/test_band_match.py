"""Bands are found by wavelength; what cannot be found is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.scene.band_match import doubt_on_values, match_bands, value_ranges
from hsi_jax.data.scene.wavelengths import to_nanometres
from hsi_jax.errors import InputError


def match(trained, given):
    return match_bands(trained, len(trained), given, len(given), source="the scene")


@given(st.permutations(range(12)), st.integers(1, 12), st.floats(-9, 9))
def test_bands_in_any_order(order, count, shift):
    given = np.array([400.0 + 50 * k for k in range(12)])
    bands = match(given[order[:count]] + shift, given)
    if bands is None:
        assert order[:count] == list(range(12))
    else:
        assert bands.tolist() == order[:count]


def test_bands_in_order_stay_even_if_a_wavelength_comes_twice():
    wavelengths = np.array([400.0, 650, 655, 652, 657, 900])
    assert match(wavelengths, wavelengths + 3) is None


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


def test_without_wavelengths_the_numbers_must_agree():
    for pair in ((None, None), ([450, 550], None), (None, [450, 550])):
        assert match_bands(pair[0], 2, pair[1], 2, source="the scene") is None
    with pytest.raises(InputError, match="3 bands"):
        match_bands(None, 2, [450, 550, 650], 3, source="the scene")


CUBE = np.random.default_rng(0).uniform(0.01, 0.6, (30, 40, 5)) * np.linspace(0.5, 1, 5)
ALL = np.arange(1200)


def test_ranges_are_percentiles_of_the_pixels_named():
    cube = CUBE.copy()
    cube[0, 0] = 1e9
    ranges = np.array(value_ranges(cube, ALL[1:]))
    np.testing.assert_allclose(ranges.T, np.percentile(CUBE.reshape(-1, 5)[1:], (1, 99), axis=0))


@pytest.mark.parametrize("factor", [1e4, 100, 1 / 255, 1e-4, -1e4])
def test_another_unit_is_noticed(factor):
    assert doubt_on_values(value_ranges(CUBE, ALL), value_ranges(CUBE * factor, ALL), "it")


@pytest.mark.parametrize("factor", [1, 0.3, 3])
def test_another_light_is_not_another_unit(factor):
    ranges = value_ranges(CUBE, ALL)
    assert doubt_on_values(ranges, value_ranges(CUBE * factor, ALL), "it") is None
    assert doubt_on_values((), ranges, "it") is None


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        (["0.45", "2.5"], "Micrometers", [450, 2500]),
        ([450, 2500], "nm", [450, 2500]),
        ([450, 2500], None, [450, 2500]),
        ([0.45, 14], "Unknown", [450, 14000]),
        ([4500, 25000], "Angstroms", [450, 2500]),
        ([450, 0], "nm", None),
        (["a"], "nm", None),
        ([1, 2], "Index", None),
    ],
)
def test_units(values, unit, expected):
    found = to_nanometres(values, unit)
    assert found is expected or found.tolist() == pytest.approx(expected)
