"""Baselines against scikit-learn itself."""

import jax
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from hsi_jax.data import Scene, hold_out, random_split
from hsi_jax.errors import InputError
from hsi_jax.models import build_model
from hsi_jax.session import train_scene
from hsi_jax.train.baseline import forest_arrays, svm_arrays
from hsi_jax.trained import TrainedModel

FEATURES = 6


def samples(classes, count=120, seed=0):
    """Features, float32 [count, FEATURES], that tell something of the classes, int [count]."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, count)
    noise = rng.normal(size=(count, FEATURES))
    return (noise + 0.4 * labels[:, None] * np.arange(FEATURES)).astype(np.float32), labels


def logits_of(model, options, params, features, num_classes):
    module = build_model(model, num_classes, options)
    return np.asarray(
        jax.jit(module.apply)({"params": params}, features.reshape(len(features), 1, 1, -1))
    )


@pytest.mark.parametrize("classes", [(0, 1, 2, 3, 4), (0, 1, 2)])
def test_the_svm_decides_as_scikit_learn_does(classes):
    machine = SVC(C=10, gamma=0.3, break_ties=True).fit(*samples(classes))
    features, _ = samples(classes, seed=1)
    params = svm_arrays(machine, len(classes))
    options = {"support": len(machine.support_vectors_)}
    logits = logits_of("svm", options, params, features, len(classes))
    np.testing.assert_allclose(logits, machine.decision_function(features), atol=2e-3)
    np.testing.assert_array_equal(logits.argmax(1), machine.predict(features))


def test_the_svm_of_two_classes_decides_as_scikit_learn_does():
    machine = SVC(C=10, gamma=0.3).fit(*samples((0, 1)))
    features, _ = samples((0, 1), seed=1)
    params, options = svm_arrays(machine, 2), {"support": len(machine.support_vectors_)}
    predicted = logits_of("svm", options, params, features, 2).argmax(1)
    assert 0 < predicted.mean() < 1
    np.testing.assert_array_equal(predicted, machine.predict(features))


@pytest.mark.parametrize("classes", [(0, 2, 4), (1, 2)])
def test_a_class_that_was_not_seen_is_never_predicted(classes):
    machine = SVC(C=10, gamma=0.3, break_ties=len(classes) > 2).fit(*samples(classes))
    features, _ = samples(classes, seed=1)
    params, options = svm_arrays(machine, 5), {"support": len(machine.support_vectors_)}
    predicted = logits_of("svm", options, params, features, 5).argmax(1)
    np.testing.assert_array_equal(predicted, machine.predict(features))


@pytest.mark.parametrize("classes", [(0, 1, 2, 3, 4), (1, 3)])
def test_the_forest_gives_the_probabilities_of_scikit_learn(classes):
    forest = RandomForestClassifier(n_estimators=15, random_state=0).fit(*samples(classes))
    # The training samples are there as well, some of which lie just on thresholds.
    features = np.concatenate([samples(classes)[0], samples(classes, seed=1)[0]])
    params = forest_arrays(forest, 5)
    depth = max(tree.tree_.max_depth for tree in forest.estimators_)
    options = {"trees": 15, "nodes": params["feature"].shape[1], "depth": depth}
    logits = logits_of("random_forest", options, params, features, 5)
    expected = np.zeros((len(features), 5))
    expected[:, list(classes)] = forest.predict_proba(features)
    np.testing.assert_allclose(jax.nn.softmax(logits), expected, atol=1e-5)


@pytest.fixture(scope="module")
def scene():
    """Three classes in stripes that spectra and neighbours both tell something of."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1, 4), 4)[None].repeat(12, axis=0)
    cube = rng.normal(size=(12, 12, 8)) + labels[..., None] * np.linspace(0, 2, 8)
    return Scene.from_arrays("stripes", cube.astype(np.float32), labels)


@pytest.fixture(scope="module")
def split(scene):
    labels = scene.require_labels()
    return hold_out(random_split(labels, 0, train_fraction=0.4), labels, 0.3, 0)


@pytest.mark.parametrize(
    ("model", "options", "size"),
    [("svm", "", {}), ("random_forest", "trees=10", {"patch_size": 3, "components": 2})],
)
def test_a_baseline_is_trained_saved_and_asked_as_a_network(
    scene, split, tmp_path, model, options, size
):
    trained, fitted = train_scene(scene, split, model=model, options=options, **size)
    assert fitted.losses == []
    accuracy = trained.evaluate(scene, split.test).scores.overall_accuracy
    assert 0.6 < accuracy <= 1
    trained.save(tmp_path / "model")
    loaded = TrainedModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(scene), trained.predict(scene))


def test_what_a_baseline_cannot_do_is_refused(scene, split):
    with pytest.raises(InputError, match="support"):
        train_scene(scene, split, model="svm", options="support=3")
    with pytest.raises(InputError, match="augment"):
        train_scene(scene, split, model="svm", augment=("flip",))
    whole = random_split(scene.require_labels(), 0, train_fraction=0.4)
    with pytest.raises(InputError, match="validation_fraction"):
        train_scene(scene, whole, model="svm")
    asked = hold_out(whole, scene.labels, 0.01, 0)  # less than one sample of each class
    with pytest.raises(InputError, match=r" 0 of \d+ training samples are held out"):
        train_scene(scene, asked, model="svm")
