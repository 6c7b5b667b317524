"""Whether a probability of 90 % is right in 90 % of the cases."""

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.run.summary_parts import Calibration, ConfidenceBin

BINS = 15


def measure_calibration(
    confidences: np.ndarray, correct: np.ndarray, bins: int = BINS
) -> Calibration:
    """The expected calibration error by bins of equal width, and what it consists of.

    As Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    https://proceedings.mlr.press/v70/guo17a.html.

    Args:
        confidences: probability of the predicted class of each sample, from 0 to 1, [n].
        correct: whether it is the true class, bool [n].
        bins: number of bins.

    Raises:
        InputError: if there are no samples, or a confidence is not from 0 to 1.
    """
    confidences = np.asarray(confidences, np.float64)
    if not len(confidences):
        raise InputError("There are no samples whose calibration could be measured; give some.")
    if not ((confidences >= 0) & (confidences <= 1 + 1e-5)).all():  # float32 may round above 1
        raise InputError("`confidences` has values that are no probabilities; give 0 to 1")
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    places = np.searchsorted(edges, confidences)
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, weights=confidences, minlength=bins)
    right = np.bincount(places, weights=correct, minlength=bins)
    error = float(np.abs(right - sums).sum() / len(confidences))
    return Calibration(
        expected_calibration_error=error,
        bins=tuple(
            ConfidenceBin(samples=n, confidence=total / n, accuracy=hits / n)
            if n
            else ConfidenceBin(samples=0)
            for n, total, hits in zip(counts.tolist(), sums.tolist(), right.tolist(), strict=True)
        ),
    )
