"""Pixels without data take no part: whatever they hold, nothing that is learnt changes."""

import numpy as np
import pytest

from hsi_jax.data import Scene, random_split, synthetic_scene
from hsi_jax.errors import InputError
from hsi_jax.train import scene_dataset


@pytest.fixture(scope="module")
def parts():
    """A cube, ids and a mask that lies on labelled pixels as well."""
    scene = synthetic_scene()
    cube = scene.cube[:30, :30, ::8].copy()
    ids = scene.original_labels(scene.require_labels())[:30, :30]
    nodata = np.zeros(ids.shape, bool)
    nodata[:, 5:8] = nodata[20:22] = True
    return cube, ids, nodata


@pytest.mark.parametrize("components", [0, 3])
def test_what_they_hold_changes_nothing(parts, components):
    cube, ids, nodata = parts
    found = []
    for value in (0.25, -9999, 1e38, np.nan):
        filled = np.where(nodata[..., None], value, cube)
        scene = Scene.from_arrays("filled", filled, ids, nodata=nodata)
        split = random_split(scene.labels, 0, train_fraction=0.2)
        found.append(scene_dataset(scene, split, model="mlp", patch_size=5, components=components))
    first = found[0]
    for other in found[1:]:
        np.testing.assert_array_equal(other.samples.cube, first.samples.cube)
        np.testing.assert_array_equal(other.split.train, first.split.train)
        np.testing.assert_array_equal(other.split.test, first.split.test)
    used = np.concatenate([first.split.train, first.split.test])
    assert not nodata.ravel()[used].any()
    assert not first.samples.cube[2:-2, 2:-2][nodata].any()
    spectra = first.samples.cube[2:-2, 2:-2].reshape(-1, first.input_shape[-1])
    # 0 is the mean of the training pixels.
    np.testing.assert_allclose(spectra[first.split.train].mean(0), 0, atol=1e-5)


def test_pixels_in_a_line_want_a_model_of_single_spectra(parts):
    cube, ids, _ = parts
    scene = Scene.from_arrays("list", cube.reshape(-1, cube.shape[2]), ids.ravel())
    split = random_split(scene.labels, 0, train_fraction=0.2)
    with pytest.raises(InputError, match=r"`patch_size`=11.*`model`=cnn1d"):
        scene_dataset(scene, split, model="cnn2d")
    assert scene_dataset(scene, split, model="mlp", patch_size=1).input_shape[:2] == (1, 1)
