"""Sums that do not depend on their order, against exact fractions and scikit-learn."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from hsi_jax.data.collection.exact_moments import ExactMoments, _to_integers, _to_limbs
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError


def spectra_of(pixels, bands, seed=0, offset=1000.0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(bands, bands)) * np.geomspace(1, 0.01, bands)
    return (rng.normal(size=(pixels, bands)) @ mixing.T + offset).astype(np.float32)


@given(st.lists(st.floats(-1e30, 1e30, allow_subnormal=False), min_size=1, max_size=8))
def test_limbs_hold_floats_down_to_their_last_bit(values):
    found = _to_integers(_to_limbs(np.array(values)))
    for value, whole in zip(values, found, strict=True):
        assert abs(Fraction(whole, 2**96) - Fraction(value)) < Fraction(1, 2**96)


def test_the_order_and_the_division_of_tiles_change_no_bit():
    spectra = spectra_of(900, 5)
    tiles = np.array_split(spectra, [3, 4, 100, 250, 600])
    origin = spectra.mean(0)

    def total(parts):
        moments = ExactMoments.none(origin)
        for part in parts:
            moments = moments.add(part)
        return moments

    expected = total(tiles)
    for some in (tiles[::-1], [tiles[k] for k in (3, 0, 5, 2, 1, 4)]):
        np.testing.assert_array_equal(total(some).limbs, expected.limbs)
    joined = total(tiles[:2]).join(total(tiles[2:]))
    np.testing.assert_array_equal(joined.limbs, expected.limbs)
    assert joined.count == 900
    # Floats alone would differ:
    sums = [part.astype(np.float64).T @ part.astype(np.float64) for part in tiles]
    assert (sum(sums) != sum(sums[::-1])).any()


def test_mean_and_covariance_are_those_of_numpy():
    spectra = spectra_of(700, 6).astype(np.float64)
    moments = ExactMoments.none(spectra[:50].mean(0)).add(spectra)
    mean, covariance = moments.mean_and_covariance()
    np.testing.assert_allclose(mean, spectra.mean(0), rtol=1e-14)
    np.testing.assert_allclose(covariance, np.cov(spectra.T, bias=True), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("components", [1, 3, 6])
def test_components_are_those_of_scikit_learn(components):
    spectra = spectra_of(500, 6)
    mean, covariance = ExactMoments.none(np.full(6, 1000.0)).add(spectra).mean_and_covariance()
    found = Preprocessing.of_moments(mean, covariance, len(spectra), components)
    pca = PCA(components, svd_solver="full").fit(spectra.astype(np.float64))
    np.testing.assert_allclose(found.scale, np.sqrt(pca.explained_variance_), rtol=1e-6)
    alike = np.abs(np.sum(found.components * pca.components_, 1))
    np.testing.assert_allclose(alike, 1, rtol=1e-8)
    np.testing.assert_allclose(
        found.transform(spectra[None]),
        Preprocessing.fit(spectra[None], np.arange(500), components).transform(spectra[None]),
        atol=2e-3,
    )


def test_a_constant_band_is_only_centred_and_too_many_components_are_refused():
    spectra = spectra_of(40, 3)
    spectra[:, 1] = 7.0
    moments = ExactMoments.none(spectra.mean(0)).add(spectra)
    mean, covariance = moments.mean_and_covariance()
    scaling = Preprocessing.of_moments(mean, covariance, 40)
    assert scaling.scale[1] == 1
    assert (scaling.transform(spectra[None])[..., 1] == 0).all()
    with pytest.raises(InputError, match="span only 2 dimensions"):
        Preprocessing.of_moments(mean, covariance, 40, 3)
    with pytest.raises(InputError, match="give 0 \\(no PCA\\) to 3"):
        Preprocessing.of_moments(mean, covariance, 40, 4)


def test_values_that_have_no_square_are_refused():
    for value in (np.nan, np.inf, 1e30):
        with pytest.raises(InputError, match="not finite, or too large"):
            ExactMoments.none(np.zeros(2)).add(np.full((3, 2), value))
    with pytest.raises(InputError, match="no training pixels"):
        ExactMoments.none(np.zeros(2)).mean_and_covariance()
