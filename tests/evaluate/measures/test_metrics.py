import json
import math
import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.metrics import class_scores, confusion_matrix, scores


@st.composite
def classifications(draw):
    num_classes = draw(st.integers(1, 7))
    ids = st.integers(0, num_classes - 1)
    pairs = draw(st.lists(st.tuples(ids, ids), min_size=1, max_size=60))
    return np.array(pairs).T, num_classes


def brute_force(truth, prediction, num_classes):
    counts = [[0] * num_classes for _ in range(num_classes)]
    for row, column in zip(truth, prediction, strict=True):
        counts[row][column] += 1
    return counts


def test_rows_are_truth_and_columns_prediction():
    confusion = confusion_matrix([0, 0, 0, 2], [1, 1, 0, 2], 4)
    assert confusion.dtype == np.int64
    assert confusion.tolist() == [[1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


@settings(deadline=None)
@given(classifications())
def test_counts_equal_brute_force_and_scikit_learn(case):
    (truth, prediction), num_classes = case
    confusion = confusion_matrix(truth, prediction, num_classes)
    assert confusion.tolist() == brute_force(truth, prediction, num_classes)
    if num_classes > 1:  # scikit-learn warns about one class
        reference = sklearn.metrics.confusion_matrix(truth, prediction, labels=range(num_classes))
        assert (confusion == reference).all()


@settings(deadline=None)
@given(classifications())
def test_measures_of_the_classes_equal_scikit_learn(case):
    (truth, prediction), num_classes = case
    measured = class_scores(confusion_matrix(truth, prediction, num_classes))
    options = {"labels": range(num_classes), "average": None, "zero_division": np.nan}
    references = {
        "producers_accuracy": sklearn.metrics.recall_score,
        "users_accuracy": sklearn.metrics.precision_score,
        "f1": sklearn.metrics.f1_score,
    }
    for name, reference in references.items():
        np.testing.assert_allclose(
            getattr(measured, name), reference(truth, prediction, **options), err_msg=name
        )
    for k in range(num_classes):
        union = ((truth == k) | (prediction == k)).sum()
        both = ((truth == k) & (prediction == k)).sum()
        expected = both / union if union else np.nan
        np.testing.assert_allclose(measured.iou[k], expected)
    for name, values in measured.to_json().items():
        numbers = [np.nan if value is None else value for value in values]
        np.testing.assert_array_equal(numbers, getattr(measured, name.removeprefix("per_class_")))


@settings(deadline=None)
@given(classifications())
def test_scores_equal_scikit_learn(case):
    (truth, prediction), num_classes = case
    measured = scores(confusion_matrix(truth, prediction, num_classes))
    with warnings.catch_warnings():
        # About predicted classes that are absent from the truth, and about an undefined kappa.
        warnings.simplefilter("ignore")
        average = sklearn.metrics.balanced_accuracy_score(truth, prediction)
        kappa = sklearn.metrics.cohen_kappa_score(truth, prediction)
        recall = sklearn.metrics.recall_score(
            truth,
            prediction,
            labels=range(num_classes),
            # scikit-learn takes both, but its annotations name strings only.
            average=None,  # pyright: ignore[reportArgumentType]
            zero_division=np.nan,  # pyright: ignore[reportArgumentType]
        )
    overall = sklearn.metrics.accuracy_score(truth, prediction)
    assert measured.overall_accuracy == pytest.approx(overall, abs=1e-12)
    assert measured.average_accuracy == pytest.approx(average, abs=1e-12)
    assert measured.per_class_accuracy == pytest.approx(recall, abs=1e-12, nan_ok=True)
    assert measured.classes_present == len(set(truth))
    undefined = set(truth) == set(prediction) and len(set(truth)) == 1
    assert measured.kappa == pytest.approx(1.0 if undefined else kappa, abs=1e-12)


def test_average_accuracy_leaves_out_classes_absent_from_the_truth():
    # Class 1 is absent from the truth but predicted, class 3 is neither.
    measured = scores(confusion_matrix([0, 0, 2, 2], [0, 1, 2, 2], 4))
    assert measured.per_class_accuracy == pytest.approx((0.5, np.nan, 1, np.nan), nan_ok=True)
    assert measured.average_accuracy == 0.75
    assert measured.classes_present == 2


@pytest.mark.parametrize(
    ("truth", "prediction", "kappa"),
    [
        ([1, 1], [1, 1], 1.0),  # 0/0: one class, all right
        ([1, 1], [0, 0], 0.0),  # one class, all wrong
        ([1, 1], [1, 0], 0.0),
        ([0, 1], [1, 0], -1.0),
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
    ],
)
def test_kappa_at_its_edges(truth, prediction, kappa):
    assert scores(confusion_matrix(truth, prediction, 2)).kappa == kappa


def test_kappa_does_not_depend_on_the_number_of_samples():
    confusion = np.array([[7, 2, 0], [1, 5, 3], [0, 4, 9]])
    assert scores(confusion * 10**12).kappa == pytest.approx(scores(confusion).kappa, rel=1e-14)


def test_small_id_types_do_not_wrap_around():
    ids = np.arange(200, dtype=np.uint8)
    assert (confusion_matrix(ids, ids, 200) == np.eye(200)).all()


def test_maps_count_as_their_pixels():
    truth, prediction = np.array([[0, 1], [1, 1]]), np.array([[0, 1], [0, 1]])
    assert confusion_matrix(truth, prediction, 2).tolist() == [[1, 0], [1, 2]]


@pytest.mark.parametrize("bad", [-1, 3, 255])
@pytest.mark.parametrize("place", ["truth", "prediction"])
def test_ids_outside_the_classes_are_refused(place, bad):
    ids = {"truth": np.array([0, 2]), "prediction": np.array([0, 2])}
    assert confusion_matrix(**ids, num_classes=3).sum() == 2
    ids[place] = np.array([0, bad])
    with pytest.raises(InputError, match=rf"`{place}` .* {bad}, .* 0\.\.2"):
        confusion_matrix(**ids, num_classes=3)


def test_other_bad_ids_are_refused():
    with pytest.raises(InputError, match="no sample"):
        confusion_matrix([], [], 3)
    with pytest.raises(InputError, match=r"\(2,\) .*\(3,\)"):
        confusion_matrix([0, 1], [0, 1, 2], 3)
    with pytest.raises(InputError, match=r"`prediction` .*float64"):
        confusion_matrix([0, 1], [0.0, 1.0], 3)


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], r"shape \(2, 3\)"),
        ([1, 2], r"shape \(2,\)"),
        ([[0, 0], [0, 0]], "no sample"),
        ([[1, -1], [0, 1]], "no counts"),
        ([[0.5, 0.5], [0, 1]], "no counts"),
    ],
)
def test_bad_matrices_are_refused(confusion, message):
    with pytest.raises(InputError, match=message):
        scores(np.array(confusion))


def test_json_writes_nan_as_none():
    measured = scores(confusion_matrix([0, 0, 2], [0, 2, 2], 3))
    assert math.isnan(measured.per_class_accuracy[1])
    assert json.loads(json.dumps(measured.to_json(), allow_nan=False)) == {
        "overall_accuracy": measured.overall_accuracy,
        "average_accuracy": 0.75,
        "kappa": measured.kappa,
        "per_class_accuracy": [0.5, None, 1.0],
        "classes_present": 2,
    }
