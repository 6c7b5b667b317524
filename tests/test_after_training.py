"""The recipes of docs/after_training.md run as they are written."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray

from hsi_jax.data import hold_out, random_split, synthetic_scene
from hsi_jax.session import train_scene
from hsi_jax.train import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "after_training.md"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recipes():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def scene():
    return synthetic_scene()


@pytest.fixture(scope="module")
def split(scene):
    usual = random_split(scene.labels, seed=0, train_fraction=0.1)
    return hold_out(usual, scene.labels, validation_fraction=0.1, seed=0)


@pytest.fixture(scope="module")
def model(scene, split):
    given = {"options": "features=(4, 4, 8); hidden=8", "patch_size": 5, "components": 4}
    return train_scene(scene, split, recipe=Recipe(steps=60, learning_rate=0.01), **given).model


def test_there_are_as_many_as_here(recipes):
    assert len(recipes) == 4


@pytest.mark.long
def test_a_model_in_onnxruntime(recipes, scene, model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("jax2onnx")
    monkeypatch.chdir(tmp_path)
    model.export("model.onnx")
    names = {"cube": np.moveaxis(np.asarray(scene.cube), -1, 0)}
    exec(recipes[0], names)
    expected = model.predict_probabilities(scene)[[2, 5], [2, 9]]  # the centres
    np.testing.assert_allclose(names["probabilities"], expected, atol=1e-5)
    assert scene.class_names[0] in capsys.readouterr().out


@pytest.mark.long
def test_estimators(recipes, scene, split, capsys):
    ids = split.train
    positions = np.stack(np.unravel_index(ids, scene.shape[:2]), 1)
    names = {
        "spectra": scene.cube.reshape(-1, scene.shape[2])[ids],
        "labels": scene.labels.flat[ids],
        "fields": positions[:, 0] % 2,
        "positions": positions,
        "cube": scene.cube,
    }
    exec(recipes[1], names)
    assert names["model"].num_classes == scene.num_classes
    assert capsys.readouterr().out


def test_data_arrays(recipes, scene, model):
    array = scene.to_xarray()
    labels = xarray.DataArray(scene.original_labels(scene.labels), dims=("y", "x"))
    names = {"array": array, "labels": labels, "model": model}
    exec(recipes[2], names)
    np.testing.assert_array_equal(names["classes"].values, model.predict(scene))


def test_sets_of_classes(recipes, scene, split, model, capsys):
    truth = scene.labels.flat[split.test]
    probabilities = model.predict_probabilities(scene).reshape(-1, scene.num_classes)[split.test]
    held = np.random.default_rng(0).permutation(len(truth)) < len(truth) // 2
    exec(
        recipes[3], {"truth": truth, "probabilities": probabilities, "held": held, "others": ~held}
    )
    covered, _ = map(float, capsys.readouterr().out.split())
    assert 0.85 < covered < 0.97
