"""The promise of conformal sets: kept where samples can change places, whatever the model."""

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.conformal import class_sets, class_thresholds, coverage


def draw(rng, n, shift=0.0):
    """A model that is far too sure of itself, on three classes that overlap."""
    truth = rng.integers(0, 3, n)
    scores = rng.normal(0, 1, (n, 3)) + 1.5 * (truth[:, None] == np.arange(3)) + shift
    exponents = np.exp(5 * scores)
    return exponents / exponents.sum(1, keepdims=True), truth


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_each_class_is_held_in_the_promised_part_of_the_cases(level):
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        thresholds = class_thresholds(*draw(rng, 150), level)
        probabilities, truth = draw(rng, 300)
        sets = class_sets(probabilities, thresholds)
        held.append([coverage(sets[truth == k], truth[truth == k]) for k in range(3)])
    mean = np.mean(held, axis=0)
    # At least the level, and at most 1 / (n + 1) more, with n of about 50 in each class.
    assert (mean > level - 0.01).all()
    assert (mean < level + 0.035).all()


def test_thresholds_are_those_of_the_definition():
    rng = np.random.default_rng(1)
    probabilities, truth = draw(rng, 60)
    thresholds = class_thresholds(probabilities, truth, 0.9)
    for k in range(3):
        scores = 1 - probabilities[truth == k, k]  # nonconformity
        rank = int(np.ceil((len(scores) + 1) * 0.9))
        expected = np.sort(scores)[rank - 1]
        assert thresholds[k] == pytest.approx(1 - expected)


@pytest.mark.parametrize(("n", "threshold"), [(8, 0.0), (9, 0.1), (10, 0.1), (19, 0.2)])
def test_few_samples_promise_nothing_by_leaving_a_class_out(n, threshold):
    values = np.arange(1, n + 1) / 10 if n < 10 else np.linspace(0.1, 1.0 + 0.1 * (n - 10), n)
    probabilities = np.stack([values, 1 - values], 1)
    found = class_thresholds(probabilities, np.zeros(n, int), 0.9)
    assert found[0] == pytest.approx(threshold)
    assert found[1] == 0


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match=r"`conformal`=90"):
        class_thresholds(np.ones((2, 2)), np.zeros(2, int), 90)
    with pytest.raises(InputError, match="one class for each row"):
        class_thresholds(np.ones((2, 2)), np.zeros(3, int), 0.9)
