import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.spectra import class_spectra


@given(st.integers(0, 2**32 - 1))
def test_mean_and_deviation_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    cube = rng.normal(1000, 30, (6, 7, 3)).astype(np.float32)
    labels = rng.integers(-1, 4, (6, 7))
    mean, deviation = class_spectra(cube, labels, 4)
    present = np.intersect1d(labels, range(4))
    for band in range(3):
        of_band = cube[:, :, band].astype(np.float64), labels, present
        np.testing.assert_allclose(mean[present, band], ndimage.mean(*of_band), rtol=1e-6)
        expected = ndimage.standard_deviation(*of_band)
        np.testing.assert_allclose(deviation[present, band], expected, rtol=1e-5, atol=1e-6)


def test_a_class_without_pixels_is_nan():
    mean, deviation = class_spectra(np.ones((2, 2, 3)), np.array([[0, 0], [-1, 2]]), 3)
    assert np.isnan(mean[1]).all()
    assert np.isnan(deviation[1]).all()
    assert np.array_equal(mean[[0, 2]], np.ones((2, 3)))


@pytest.mark.parametrize(
    ("labels", "word"), [(np.zeros((3, 2), int), "shape"), (np.full((2, 2), 5), "5")]
)
def test_what_does_not_fit_is_refused(labels, word):
    with pytest.raises(InputError, match=word):
        class_spectra(np.ones((2, 2, 3)), labels, 3)
