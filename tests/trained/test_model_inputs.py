"""What a model is given: the bands that it was trained on, in the units of its training."""

import warnings
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hsi_jax.data import Scene, random_split
from hsi_jax.errors import InputError, InputWarning
from hsi_jax.session import train_scene
from hsi_jax.train import Recipe
from hsi_jax.trained import TrainedModel

WAVELENGTHS = np.array([450.0, 550, 650, 850])


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    labels = rng.integers(1, 3, (12, 14))
    cube = rng.uniform(1, 2, (12, 14, 4)) * 0.1 * (1 + labels[..., np.newaxis] * [0, 1, 2, 3])
    return Scene.from_arrays("toy", cube, labels, wavelengths=WAVELENGTHS)


@pytest.fixture(scope="module")
def model(scene):
    split = random_split(scene.labels, 0, train_fraction=0.5)
    recipe = Recipe(steps=3, batch_size=16, microbatch_size=8)
    options = {"model": "mlp", "options": "hidden=(4, 4)", "patch_size": 1, "components": 0}
    return train_scene(scene, split, profile="1", recipe=recipe, **options).model


def test_bands_are_found_by_wavelength(model, scene):
    expected = model.predict_probabilities(scene)
    order = [3, 1, 0, 2]
    mixed = np.dstack([scene.cube[:, :, order], 99 * np.ones((12, 14, 2), np.float32)])
    wavelengths = [*WAVELENGTHS[order] + 2, 1200, 1600]
    other = Scene.from_arrays("other", mixed, wavelengths=wavelengths)
    np.testing.assert_array_equal(model.predict_probabilities(other), expected)


def test_missing_bands_are_refused(model, scene):
    other = replace(scene, wavelengths=np.array([450.0, 550, 710, 850]))
    with pytest.raises(InputError, match="650"):
        model.predict(other)
    with pytest.raises(InputError, match="3 bands"):
        model.predict(scene.cube[:, :, :3])


def test_another_unit_is_a_warning(model, scene):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(scene)
    with pytest.warns(InputWarning, match="unit") as caught:
        model.predict(scene.cube * 10_000)
    assert caught[0].filename == __file__


def test_pixels_without_data_do_not_count(model, scene):
    nodata = np.ones((12, 14), bool)
    nodata[0] = False
    other = replace(scene, cube=np.where(nodata[..., np.newaxis], 0, scene.cube), nodata=nodata)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (model.predict(other)[1:] == -1).all()


def test_a_model_knows_the_values_of_its_training(model, scene, tmp_path):
    model.save(tmp_path / "model")
    ranges = np.array(TrainedModel.load(tmp_path / "model").description.value_ranges)
    assert ranges.shape == (4, 2)
    assert (ranges[:, 0] < ranges[:, 1]).all()
    assert (
        (ranges >= scene.cube.min((0, 1))[:, None]) & (ranges <= scene.cube.max((0, 1))[:, None])
    ).all()


def test_a_model_of_before_has_none_and_works(model, scene):
    fields = msgspec.to_builtins(model.description)
    del fields["value_ranges"]
    old = replace(model, description=msgspec.convert(fields, type(model.description)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(old.predict(scene), model.predict(scene))
        old.predict(scene.cube * 10_000)


@pytest.mark.parametrize("ids", [[], [-1], [168], [0.5]])
def test_pixels_that_cannot_be_evaluated_are_named(model, scene, ids):
    with pytest.raises(InputError, match="`ids`"):
        model.evaluate(scene, np.array(ids))
    unlabelled = replace(scene, labels=np.full(scene.labels.shape, -1, np.int32))
    with pytest.raises(InputError, match="`ids`"):
        model.evaluate(unlabelled)
