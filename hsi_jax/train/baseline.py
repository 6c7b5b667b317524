"""Classical baselines: scikit-learn fits them on the host, and their arrays make a model of ours.

So they are tested, saved, loaded and asked for maps as networks are.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hsi_jax.errors import InputError
from hsi_jax.models import Model, build_model, find_trait, name_model
from hsi_jax.registry import Registry
from hsi_jax.train.dataset import Dataset
from hsi_jax.train.samples import Patches
from hsi_jax.train.state import Classification, TrainState

# Of the support vector machine: C, and gamma as a multiple of 1 / (features * their variance).
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)
WIDTHS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)


class Found(NamedTuple):
    """What a fit has found.

    Attributes:
        options: of the model.
        params: its arrays.
        note: how it was chosen, for people.
    """

    options: dict[str, Any]
    params: dict[str, np.ndarray]
    note: str


class Baseline(NamedTuple):
    """A fitted baseline: a state that predicts as a network's, the model's options and a note."""

    state: TrainState
    options: dict[str, Any]
    note: str


def fit_baseline(dataset: Dataset, model: Model, options: dict[str, Any], seed: int) -> Baseline:
    """Fits a baseline to the training pixels of a scene, in one process and on no device.

    What has to be chosen is chosen by the accuracy on the validation pixels.

    Args:
        dataset: of a scene.
        model: whose trait `trained_by_gradient` is False.
        options: of the model.
        seed: of the forest.

    Raises:
        InputError: if the data or the options do not allow it.
    """
    for name in find_trait(model, "found_by_fit"):
        if name in options:
            raise InputError(f"`model_options`: {name} is found by the fit; leave it out")
    if dataset.prepare is not None:
        raise InputError(f"`augment` goes with networks, not with `model`={name_model(model)}")
    fit = FITS.get(name_model(model))
    if fit is None:
        raise InputError(
            f"`model`={name_model(model)} is not trained by gradient, and "
            f"hsi_jax.train.baseline.FITS has no fit of that name; register one"
        )
    found = fit(dataset, options, seed)
    module = build_model(model, dataset.num_classes, found.options)
    params = jax.tree.map(np.asarray, found.params)
    state = TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats={},
        opt_state=(),
        seed=jnp.uint32(seed),
        optimizer=optax.identity(),
        task=Classification(module),
    )
    return Baseline(state, found.options, found.note)


def _samples(dataset: Dataset, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features, float32 [n, p * p * channels], and classes, int32 [n], of some pixels."""
    assert isinstance(dataset.samples, Patches)  # for type checkers: baselines take scenes alone
    patches, labels = dataset.samples.take(jnp.asarray(ids), jnp.int32(0))
    return np.asarray(patches).reshape(len(ids), -1), np.asarray(labels)


def _fit_svm(dataset: Dataset, options: dict[str, Any], seed: int) -> Found:
    from sklearn.svm import SVC

    split = dataset.split
    if len(split.validation) == 0:
        raise InputError(
            f"C and gamma of `model`=svm are chosen on validation pixels, and there are none. "
            f"{' '.join((*split.remarks, ''))}Give a `validation_fraction` above 0 that leaves "
            f"some, more training pixels, or another model"
        )
    x, y = _samples(dataset, split.train)
    check_x, check_y = _samples(dataset, split.validation)
    if len(np.unique(y)) < 2:
        raise InputError("the training pixels are of one class; `model`=svm needs two or more")
    scale = 1 / (x.shape[1] * float(x.var()))
    best, best_accuracy = None, -1.0
    for penalty, width in itertools.product(PENALTIES, WIDTHS):
        machine = SVC(C=penalty, gamma=width * scale, cache_size=500).fit(x, y)
        accuracy = float(np.mean(machine.predict(check_x) == check_y))
        if accuracy > best_accuracy:
            best, best_accuracy = machine, accuracy
    assert best is not None  # an accuracy is at least 0
    params = svm_arrays(best, dataset.num_classes)
    note = (
        f"C {best.C:g} and gamma {best.gamma:.4g} of {len(PENALTIES)} x {len(WIDTHS)}, by "
        f"validation OA {best_accuracy:.2%}; {len(params['support_vectors'])} support vectors"
    )
    return Found({"support": len(params["support_vectors"])}, params, note)


def svm_arrays(machine: Any, num_classes: int) -> dict[str, np.ndarray]:
    """The parameters of `hsi_jax.models.svm.SVM`.

    Args:
        machine: a fitted `sklearn.svm.SVC` with a kernel "rbf", whose classes are indexes.
        num_classes: C; a class that the machine has not seen loses against each that it has.
    """
    starts = np.concatenate([[0], np.cumsum(machine.n_support_)])
    rows = [slice(*pair) for pair in itertools.pairwise(starts)]
    seen = {int(name): number for number, name in enumerate(machine.classes_)}
    # scikit-learn turns the sign of libsvm where there are two classes.
    sign = -1 if len(seen) == 2 else 1
    pairs = list(itertools.combinations(range(num_classes), 2))
    seen_pairs = {pair: at for at, pair in enumerate(itertools.combinations(range(len(seen)), 2))}
    coefficients = np.zeros((len(machine.support_vectors_), len(pairs)), np.float32)
    intercepts = np.zeros(len(pairs), np.float32)
    for at, (one, other) in enumerate(pairs):
        if one not in seen or other not in seen:
            intercepts[at] = float(one in seen) - float(other in seen)
            continue
        first, second = seen[one], seen[other]
        for own, against in ((first, second - 1), (second, first)):
            part = machine.dual_coef_[against, rows[own]]
            coefficients[rows[own], at] = sign * part
        intercepts[at] = sign * machine.intercept_[seen_pairs[first, second]]
    return {
        "support_vectors": machine.support_vectors_.astype(np.float32),
        "coefficients": coefficients,
        "intercepts": intercepts,
        "gamma": np.array(machine.gamma, np.float32),
    }


def _fit_forest(dataset: Dataset, options: dict[str, Any], seed: int) -> Found:
    from sklearn.ensemble import RandomForestClassifier

    trees = options.get("trees", 200)
    x, y = _samples(dataset, dataset.split.train)
    forest = RandomForestClassifier(n_estimators=trees, random_state=seed, n_jobs=-1).fit(x, y)
    params = forest_arrays(forest, dataset.num_classes)
    depth = max(1, *(tree.tree_.max_depth for tree in forest.estimators_))
    found = {"trees": trees, "nodes": params["feature"].shape[1], "depth": depth}
    return Found(found, params, f"{trees} trees of up to {found['nodes']} nodes, depth {depth}")


def forest_arrays(forest: Any, num_classes: int) -> dict[str, np.ndarray]:
    """The parameters of `hsi_jax.models.random_forest.RandomForest`.

    Args:
        forest: a fitted `sklearn.ensemble.RandomForestClassifier`, whose classes are indexes.
        num_classes: C.
    """
    trees = [estimator.tree_ for estimator in forest.estimators_]
    shape = (len(trees), max(tree.node_count for tree in trees))
    own = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    feature, low, high = np.zeros(shape, np.int32), own.copy(), own.copy()
    threshold = np.zeros(shape, np.float32)
    parts = np.zeros((*shape, num_classes), np.float32)
    for row, tree in enumerate(trees):
        inner = np.flatnonzero(tree.children_left >= 0)
        feature[row, inner] = tree.feature[inner]
        threshold[row, inner] = _round_down(tree.threshold[inner])
        low[row, inner] = tree.children_left[inner]
        high[row, inner] = tree.children_right[inner]
        values = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
        parts[row, : tree.node_count, forest.classes_.astype(int)] = values.T
    return {"feature": feature, "threshold": threshold, "low": low, "high": high, "parts": parts}


def _round_down(numbers: np.ndarray) -> np.ndarray:
    """The largest float32 below or at each number: at most the one is at most the other."""
    rounded = numbers.astype(np.float32)
    return np.where(rounded > numbers, np.nextafter(rounded, np.float32(-np.inf)), rounded)


# fit(dataset, options, seed) of each model that is not trained by gradient.
FITS: Registry[Callable[[Dataset, dict[str, Any], int], Found]] = Registry(
    "model", {"svm": _fit_svm, "random_forest": _fit_forest}
)
