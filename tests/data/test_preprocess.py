import numpy as np
import pytest

from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError

ROWS, COLUMNS, BANDS = 7, 6, 5
TRAIN_IDS = np.array([0, 3, 7, 11, 12, 20, 21, 33, 41], np.int32)


def noisy_cube():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(ROWS, COLUMNS, BANDS)) @ rng.normal(size=(BANDS, BANDS))
    return (mixed * [1, 10, 100, 1, 5] + 1000).astype(np.float32)


def train_spectra(cube):
    """The training spectra, picked by row and column instead of by flat id."""
    return np.array([cube[i // COLUMNS, i % COLUMNS] for i in TRAIN_IDS], np.float64)


def test_standardisation_is_the_formula():
    cube = noisy_cube()
    spectra = train_spectra(cube)
    expected = (cube - spectra.mean(axis=0)) / spectra.std(axis=0)
    out = Preprocessing.fit(cube, TRAIN_IDS).transform(cube)
    np.testing.assert_allclose(out, expected, atol=1e-3)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous


@pytest.mark.parametrize("components", [1, 3, BANDS])
def test_components_are_white_on_the_training_pixels(components):
    cube = noisy_cube()
    out = Preprocessing.fit(cube, TRAIN_IDS, components).transform(cube)
    assert out.shape == (ROWS, COLUMNS, components)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    spectra = train_spectra(out)
    np.testing.assert_allclose(spectra.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(
        np.cov(spectra.T).reshape(components, -1), np.eye(components), atol=1e-3
    )


def test_components_are_the_eigenvectors_of_the_training_covariance():
    cube = noisy_cube()
    spectra = train_spectra(cube)
    variances, vectors = np.linalg.eigh(np.cov(spectra.T))
    expected = (cube - spectra.mean(axis=0)) @ vectors[:, ::-1] / np.sqrt(variances[::-1])
    out = Preprocessing.fit(cube, TRAIN_IDS, BANDS).transform(cube)
    np.testing.assert_allclose(np.abs(out), np.abs(expected), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("components", [0, 3])
def test_pixels_that_do_not_train_have_no_influence(components):
    cube = noisy_cube()
    changed = cube.copy()
    others = np.setdiff1d(np.arange(ROWS * COLUMNS), TRAIN_IDS)
    changed.reshape(-1, BANDS)[others] = 1e6
    before = Preprocessing.fit(cube, TRAIN_IDS, components).transform(cube)
    after = Preprocessing.fit(changed, TRAIN_IDS, components).transform(cube)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("components", [0, 3])
def test_each_pixel_stays_in_its_place_and_the_input_unchanged(components):
    cube = noisy_cube()
    original = cube.copy()
    fitted = Preprocessing.fit(cube, TRAIN_IDS, components)
    whole = fitted.transform(cube)
    np.testing.assert_array_equal(cube, original)
    for row, column in [(0, 0), (2, 5), (6, 1), (6, 5)]:
        alone = fitted.transform(cube[row : row + 1, column : column + 1])
        np.testing.assert_allclose(whole[row, column], alone[0, 0], rtol=1e-5, atol=1e-5)


def test_a_band_constant_over_training_pixels_is_only_centred():
    cube = noisy_cube()
    cube.reshape(-1, BANDS)[TRAIN_IDS, 2] = 7
    cube[0, 1, 2] = 9  # pixel 1 does not train
    out = Preprocessing.fit(cube, TRAIN_IDS).transform(cube)
    assert out[0, 0, 2] == 0
    assert out[0, 1, 2] == 2


@pytest.mark.parametrize("components", [-1, BANDS + 1])
def test_components_out_of_range_are_refused(components):
    with pytest.raises(InputError, match=rf"--components {components} .* 5 bands .* to 5"):
        Preprocessing.fit(noisy_cube(), TRAIN_IDS, components)


def test_components_need_more_training_pixels_than_that():
    cube = noisy_cube()
    assert Preprocessing.fit(cube, TRAIN_IDS[:4], 3).transform(cube).shape[-1] == 3
    with pytest.raises(InputError, match=r"3 training pixels; give 0 .* to 2"):
        Preprocessing.fit(cube, TRAIN_IDS[:3], 3)


def test_components_beyond_the_rank_of_the_training_pixels_are_refused():
    cube = noisy_cube()
    cube[..., 4] = cube[..., 3] = 2 * cube[..., 0]
    assert np.isfinite(Preprocessing.fit(cube, TRAIN_IDS, 3).transform(cube)).all()
    with pytest.raises(InputError, match="--components 4 is more than the 3 dimensions"):
        Preprocessing.fit(cube, TRAIN_IDS, 4)
