import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.reliability import draw_reliability
from hsi_jax.evaluate.measures.calibration import BINS, measure_calibration

samples = st.lists(
    st.tuples(st.floats(0, 1) | st.sampled_from([0.0, 1 / 3, 0.2, 1.0]), st.booleans()),
    min_size=1,
    max_size=60,
)


@given(samples)
def test_the_error_is_that_of_its_formula(rows):
    found = measure_calibration([p for p, _ in rows], [right for _, right in rows])
    error = 0.0
    for number, one in enumerate(found.bins):
        low, high = number / BINS, (number + 1) / BINS
        inside = [(p, r) for p, r in rows if low < p <= high or (number == 0 and p == 0)]
        assert one.samples == len(inside)
        if inside:
            confidence, accuracy = np.mean(inside, axis=0)
            error += len(inside) / len(rows) * abs(accuracy - confidence)
            assert one.confidence == pytest.approx(confidence)
            assert one.accuracy == pytest.approx(accuracy)
    assert found.expected_calibration_error == pytest.approx(error)


@pytest.mark.parametrize("bins", [5, 15])
def test_bins_are_those_of_scikit_learn(bins):
    rng = np.random.default_rng(bins)
    confidences = rng.beta(5, 2, 500).astype(np.float32)
    correct = rng.random(500) < confidences**2
    found = [one for one in measure_calibration(confidences, correct, bins).bins if one.samples]
    accuracy, confidence = calibration_curve(correct, confidences, n_bins=bins)
    np.testing.assert_allclose([one.accuracy for one in found], accuracy)
    np.testing.assert_allclose([one.confidence for one in found], confidence, rtol=1e-6)


def test_calibrated_and_boastful_predictions():
    assert measure_calibration([0.5] * 4, [1, 0, 1, 0]).expected_calibration_error == 0
    assert measure_calibration([1.0] * 4, [0, 0, 0, 0]).expected_calibration_error == 1
    above = np.nextafter(np.float32(1), np.float32(2))  # as sums in float32 round
    assert measure_calibration([above], [1]).bins[-1].samples == 1


@pytest.mark.parametrize("confidences", [[], [1.5], [-0.1], [np.nan]])
def test_what_is_no_probability_is_refused(confidences):
    with pytest.raises(InputError):
        measure_calibration(confidences, [True] * len(confidences))


def test_the_picture_shows_the_bins_and_the_error(render):
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0.3, 1, 400)
    calibration = measure_calibration(confidences, rng.random(400) < confidences - 0.1)
    figure = draw_reliability(calibration)
    upper, lower = figure.axes
    used = [one for one in calibration.bins if one.samples]
    (dots,) = upper.collections
    places = [(one.confidence, one.accuracy) for one in used]
    np.testing.assert_allclose(dots.get_offsets(), places)
    samples = np.array([one.samples for one in used])
    areas = dots.get_sizes()
    large = areas > areas.min()
    np.testing.assert_allclose(areas[large] / areas.max(), (samples / samples.max())[large])
    assert large.sum() > 5
    assert [bar.get_height() for bar in lower.patches] == [b.samples for b in calibration.bins]
    assert f"{calibration.expected_calibration_error:.4f}" in dots.get_label()
    render(figure)


def test_a_bin_may_be_empty(render):
    calibration = measure_calibration([0.99, 0.98], [True, False])
    render(draw_reliability(calibration, "two samples"))
    assert dataclasses.asdict(calibration.bins[0]) == {
        "samples": 0,
        "confidence": None,
        "accuracy": None,
    }
