"""A picture of the calibration: how often predictions of a confidence are right."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hsi_jax.evaluate.figures.style import BLUE, COLUMN, SMALL, style_axes
from hsi_jax.run.summary_parts import Calibration

_LARGEST = 180  # area of the dot of the fullest bin, points²
_SMALLEST = 6  # of a bin with few samples, so that it can be seen


def draw_reliability(calibration: Calibration, title: str = "") -> Figure:
    """Draws accuracy over confidence, and below it how many samples have such a confidence.

    The area of a dot is proportional to the samples in its bin; the smallest dots are enlarged.

    Args:
        calibration: of some samples.
        title: above the picture.

    Returns:
        The figure. Points below the diagonal are bins in which predictions are too confident.
    """
    figure = Figure(figsize=(COLUMN, 1.2 * COLUMN), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    style_axes(upper, title, y_label="fraction that is right")
    style_axes(lower, x_label="confidence (probability of the predicted class)", y_label="samples")
    _draw_bins(upper, calibration)
    count = len(calibration.bins)
    lower.bar(
        [(i + 0.5) / count for i in range(count)],
        [one.samples for one in calibration.bins],
        width=0.9 / count,
        color=BLUE,
    )
    lower.set_xlim(-0.02, 1.02)
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    lower.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def _draw_bins(axes: Axes, calibration: Calibration) -> None:
    used = [one for one in calibration.bins if one.samples]
    confidence = np.array([one.confidence for one in used], float)
    accuracy = np.array([one.accuracy for one in used], float)
    samples = np.array([one.samples for one in used])
    axes.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1, label="as confident as right")
    axes.plot(confidence, accuracy, color=BLUE, linewidth=0.8, alpha=0.5)
    axes.scatter(
        confidence,
        accuracy,
        s=np.maximum(_LARGEST * samples / samples.max(initial=1), _SMALLEST),
        color=BLUE,
        alpha=0.75,
        linewidth=0,
        zorder=3,
        label=f"test samples, ECE {calibration.expected_calibration_error:.4f}",
    )
    axes.set_ylim(-0.05, 1.05)
    legend = axes.legend(loc="upper left", fontsize=SMALL, frameon=False)
    for handle in legend.findobj(PathCollection):
        handle.set(sizes=[30])
