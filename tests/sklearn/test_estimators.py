"""The estimators behave as scikit-learn's own."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from hsi_jax.errors import InputError
from hsi_jax.sklearn import PatchClassifier, SpectralClassifier

QUICK = {"model_options": "hidden=(16, 8); dropout=0", "epochs": 20, "learning_rate": 0.01}
LABELS = np.array(["lake", "meadow", "wood"])


@pytest.mark.long
@parametrize_with_checks([SpectralClassifier(**QUICK, random_state=0)])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    classes = np.arange(90) % 3
    means = np.array([(100, 300, 500, 200), (300, 300, 100, 200), (500, 100, 300, 200)])
    return means[classes] + rng.normal(0, 20, (90, 4)), LABELS[classes]


def test_spectra_are_learnt_and_pickled(spectra):
    estimator = SpectralClassifier(**QUICK, random_state=3).fit(*spectra)
    assert estimator.score(*spectra) > 0.95
    probabilities = estimator.predict_proba(spectra[0])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict_proba(spectra[0]), probabilities)
    assert isinstance(estimator.__getstate__()["model_"]["model.json"], bytes)
    twice = clone(estimator).fit(*spectra)
    np.testing.assert_array_equal(twice.predict_proba(spectra[0]), probabilities)
    np.testing.assert_array_equal(estimator.classes_, LABELS)


def test_spectra_in_a_pipeline_and_a_search(spectra):
    estimator = SpectralClassifier(**QUICK, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(np.log1p), estimator)
    assert cross_val_score(pipeline, *spectra, cv=2).mean() > 0.9
    search = GridSearchCV(estimator, {"epochs": [1, 20]}, cv=2).fit(*spectra)
    assert search.best_params_ == {"epochs": 20}


@pytest.mark.long
def test_positions_of_a_scene_are_learnt():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.permuted(np.arange(16) % 2).reshape(4, 4), np.ones((5, 5), int))
    cube = rng.normal(0, 0.5, (20, 20, 3)) + truth[..., None] * np.array([1, -1, 0])
    positions = np.argwhere(np.ones_like(truth))[::3]
    labels = LABELS[truth[tuple(positions.T)]]
    estimator = PatchClassifier(
        cube,
        model_options="features=(4, 4, 4); hidden=8",
        patch_size=3,
        components=0,
        epochs=10,
        learning_rate=0.01,
        random_state=0,
    )
    blocks = positions[:, 0] // 5
    scores = cross_val_score(estimator, positions, labels, groups=blocks, cv=GroupKFold(2))
    assert scores.mean() > 0.8
    estimator.fit(positions, labels)
    everywhere = np.argwhere(np.ones_like(truth))
    expected = estimator.model_.predict(cube).ravel()
    np.testing.assert_array_equal(estimator.predict(everywhere), estimator.classes_[expected])
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict(positions), estimator.predict(positions))
    with pytest.raises(InputError, match="a row and a column"):
        estimator.predict([[0, 20]])
    with pytest.raises(InputError, match="twice"):
        estimator.fit([[0, 0], [0, 0]], ["lake", "wood"])
