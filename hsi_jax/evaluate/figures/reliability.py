"""A picture of the calibration: how often predictions of a confidence are right."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hsi_jax.evaluate.figures.sizes import COLUMN, SMALL, TEXT
from hsi_jax.run.summary_parts import Calibration

_ACCURACY, _PERFECT = "#0072b2", "0.4"


def draw_reliability(calibration: Calibration, title: str = "") -> Figure:
    """Draws accuracy over confidence, and below it how many samples have such a confidence.

    Args:
        calibration: of some samples.
        title: above the picture.

    Returns:
        The figure. Points below the diagonal are bins in which predictions are too confident.
    """
    count = len(calibration.bins)
    used = [one for one in calibration.bins if one.samples]
    figure = Figure(figsize=(COLUMN, 1.2 * COLUMN), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], "--", color=_PERFECT, linewidth=1, label="as confident as right")
    upper.plot(
        [one.confidence for one in used],
        [one.accuracy for one in used],
        "o-",
        color=_ACCURACY,
        markersize=4,
        linewidth=1.2,
        label=f"test samples, ECE {calibration.expected_calibration_error:.4f}",
    )
    upper.set_ylabel("part that is right", fontsize=TEXT)
    upper.set_ylim(-0.02, 1.02)
    upper.legend(loc="upper left", fontsize=SMALL, frameon=False)
    if title:
        upper.set_title(title, fontsize=TEXT)
    lower.bar(
        [(i + 0.5) / count for i in range(count)],
        [one.samples for one in calibration.bins],
        width=0.9 / count,
        color=_ACCURACY,
    )
    lower.set_xlabel("confidence (probability of the predicted class)", fontsize=TEXT)
    lower.set_ylabel("samples", fontsize=TEXT)
    lower.set_xlim(-0.02, 1.02)
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    lower.yaxis.set_major_formatter("{x:,.0f}")
    for axes in (upper, lower):
        axes.tick_params(labelsize=SMALL)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    return figure
