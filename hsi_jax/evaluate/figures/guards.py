"""A picture of accuracy against the distance between training and test pixels."""

import statistics
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.evaluate.figures.style import PAGE, SMALL, TEXT, style_axes
from hsi_jax.evaluate.tables.guard_table import GuardPoint

# Colours that people with any kind of sight tell apart (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_ASIDE = 0.06  # pixels by which the points of a model stand beside those of the one before


def draw_guards(points: Sequence[GuardPoint], title: str) -> Figure:
    """Draws OA against the guard, a line for each model, with the deviation over seeds.

    Two panels: the OA with its standard deviation over seeds, and its change from the smallest
    guard, seed by seed, whose deviation is smaller because a seed keeps its test pixels. A ring
    marks the points whose patches hold no training pixel.

    Args:
        points: of all models.
        title: above both panels.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(PAGE, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    x_label = "guard: every training pixel is farther (pixels)"
    style_axes(left, x_label=x_label, y_label="OA on test pixels (%)")
    style_axes(right, x_label=x_label, y_label="change of OA (points)")
    for number, model in enumerate(dict.fromkeys(point.model for point in points)):
        own = [point for point in points if point.model == model]
        _draw_line(left, own, [point.accuracy for point in own], number)
        _draw_line(right, own, [point.change for point in own], number)
    for axes in (left, right):
        axes.set_xticks(sorted({point.guard for point in points}))
    left.legend(fontsize=SMALL)
    how = "bars: standard deviation over seeds; rings: no patch holds a training pixel"
    figure.suptitle(f"{title}\n{how}", fontsize=TEXT)
    return figure


def _draw_line(
    axes: Axes, points: Sequence[GuardPoint], values: Sequence[Mapping[int, float]], number: int
) -> None:
    """Draws the means of values by seed, fractions of 1, at the guards of the points of a model."""
    known = [(p, list(v.values())) for p, v in zip(points, values, strict=True) if v]
    guards = [point.guard + _ASIDE * number for point, _ in known]
    means = [100 * statistics.fmean(v) for _, v in known]
    spreads = [100 * statistics.stdev(v) if len(v) > 1 else 0.0 for _, v in known]
    colour = _COLOURS[number % len(_COLOURS)]
    label = f"{points[0].model}, {points[0].patch_size} x {points[0].patch_size}"
    axes.errorbar(guards, means, spreads, marker=".", capsize=2, color=colour, label=label, lw=1.2)
    places = zip(known, guards, means, strict=True)
    free = [(x, y) for (point, _), x, y in places if not point.leakage]
    if free:
        axes.plot(*zip(*free, strict=True), "o", mfc="none", color=colour, markersize=7)
