import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

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
    with pytest.raises(InputError, match=rf"`components`={components}:.* 5,"):
        Preprocessing.fit(noisy_cube(), TRAIN_IDS, components)


def test_components_need_more_training_pixels_than_that():
    cube = noisy_cube()
    assert Preprocessing.fit(cube, TRAIN_IDS[:4], 3).transform(cube).shape[-1] == 3
    with pytest.raises(InputError, match=r"`components`=3:.* 2,"):
        Preprocessing.fit(cube, TRAIN_IDS[:3], 3)


def test_components_beyond_the_rank_of_the_training_pixels_are_refused():
    cube = noisy_cube()
    cube[..., 4] = cube[..., 3] = 2 * cube[..., 0]
    assert np.isfinite(Preprocessing.fit(cube, TRAIN_IDS, 3).transform(cube)).all()
    with pytest.raises(InputError, match=r"`components`=4:.* 3 "):
        Preprocessing.fit(cube, TRAIN_IDS, 4)


def scikit_learn(cube, components):
    """What scikit-learn gives, fitted on the same pixels."""
    if components == 0:
        transformer = StandardScaler()
    else:
        transformer = PCA(components, whiten=True, svd_solver="full")
    transformer.fit(train_spectra(cube))
    spectra = np.asarray(transformer.transform(cube.reshape(-1, BANDS)))
    return spectra.reshape(ROWS, COLUMNS, -1).astype(np.float32)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i2", "u2", "i8"])
@pytest.mark.parametrize("components", [0, 1, 3, BANDS])
def test_the_bits_are_those_of_scikit_learn(components, dtype):
    scaled = noisy_cube() / (20 if dtype in ("u1", "f2") else 1)
    cube = scaled.clip(0, 250 if dtype == "u1" else None).astype(dtype)
    expected = scikit_learn(cube, components)
    fitted = Preprocessing.fit(cube, TRAIN_IDS, components)
    out = fitted.transform(cube)
    np.testing.assert_array_equal(out.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("components", [0, 1, 2, 3, 5, 6, 11, 20])
def test_blocks_of_rows_leave_the_bits(components):
    cube = np.random.default_rng(0).normal(size=(523, 257, 20)).astype(np.float32)
    ids = np.arange(0, cube[..., 0].size, 500)
    transformer = StandardScaler()
    if components:
        transformer = PCA(components, whiten=True, svd_solver="full")
    transformer.fit(cube.reshape(-1, 20)[ids].astype(np.float64))
    expected = np.asarray(transformer.transform(cube.reshape(-1, 20))).astype(np.float32)
    fitted = Preprocessing.fit(cube, ids, components)
    border = np.full((525, 259, fitted.num_channels), 7, np.float32)
    out = fitted.transform(cube, out=border[1:-1, 1:-1])
    np.testing.assert_array_equal(out.reshape(len(expected), -1), expected)
    border[1:-1, 1:-1] = 7
    assert (border == 7).all()


@pytest.mark.parametrize("components", [0, 1, 3, BANDS])
def test_what_is_stored_and_read_gives_the_same_bits(components, tmp_path):
    cube = noisy_cube()
    fitted = Preprocessing.fit(cube, TRAIN_IDS, components)
    arrays = fitted.to_arrays()
    assert set(arrays) == {"mean", "scale"} | ({"components"} if components else set())
    in_rows = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    np.savez(tmp_path / "fitted.npz", allow_pickle=False, **in_rows)
    with np.load(tmp_path / "fitted.npz") as stored:
        again = Preprocessing.from_arrays(stored)
    out, expected = again.transform(cube), fitted.transform(cube)
    np.testing.assert_array_equal(out.view(np.uint32), expected.view(np.uint32))
    assert (again.num_bands, again.num_channels) == (BANDS, components or BANDS)


def test_the_memory_layout_of_the_components_does_not_change_the_bits():
    """BLAS rounds differently for another layout, which shows here because most digits cancel."""
    cube = 1e6 + 1e-3 * np.random.default_rng(0).normal(size=(60, 50, 200))
    fitted = Preprocessing.fit(cube, np.arange(0, 3000, 2), 30)
    assert fitted.components is not None
    assert fitted.num_channels == 30
    expected = fitted.transform(cube)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        arrays = {**fitted.to_arrays(), "components": layout(fitted.components)}
        np.testing.assert_array_equal(Preprocessing.from_arrays(arrays).transform(cube), expected)


def test_a_cube_of_other_bands_is_refused():
    fitted = Preprocessing.fit(noisy_cube(), TRAIN_IDS, 3)
    with pytest.raises(InputError, match=r"4 bands.* 5"):
        fitted.transform(noisy_cube()[..., :4])


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"mean": None}, "mean"),
        ({"scale": None}, "scale"),
        ({"components": None}, "scale"),
        ({"mean": np.ones((1, BANDS))}, "mean"),
        ({"mean": np.ones(BANDS + 1)}, "components"),
        ({"scale": np.ones((3, 1))}, "scale"),
        ({"scale": np.ones(4)}, "components"),
        ({"components": np.ones((BANDS, 3))}, "components"),
        ({"components": np.ones((3, BANDS), np.float32)}, "components"),
    ],
)
def test_arrays_that_do_not_fit_together_are_named(changes, name):
    arrays = {**Preprocessing.fit(noisy_cube(), TRAIN_IDS, 3).to_arrays(), **changes}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(InputError, match=f"`{name}`"):
        Preprocessing.from_arrays(arrays)
