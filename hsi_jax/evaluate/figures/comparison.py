"""Pictures of a comparison of schemes: accuracies and times of a step."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.style import BLUE, COLUMN, PAGE, SMALL, list_categories, style_axes
from hsi_jax.evaluate.tables.scheme_table import Result


def draw_accuracies(results: Sequence[Result], title: str) -> Figure:
    """Draws the OA of each scheme: a dot for each seed, and a line at their mean.

    Args:
        results: of the runs; those without an accuracy are left out.
        title: above the panel.

    Returns:
        The figure.

    Raises:
        InputError: if no run has an accuracy.
    """
    schemes = _by_scheme(results, "overall_accuracy")
    figure = Figure(figsize=(_width(schemes), 3.0), layout="constrained")
    axes = figure.subplots()
    for place, values in enumerate(schemes.values()):
        percent = 100 * values
        offsets = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0]
        axes.plot(place + np.array(offsets), percent, "o", color=BLUE, alpha=0.6, markersize=5)
        axes.hlines(percent.mean(), place - 0.28, place + 0.28, color="0.2", linewidth=1.8)
        label = f"{percent.mean():.2f}"
        axes.annotate(
            label, (place + 0.3, percent.mean()), fontsize=SMALL, va="center", color="0.2"
        )
    _finish(axes, schemes, title, "OA on test pixels (%)")
    axes.set_xlim(-0.6, len(schemes) - 0.2)
    axes.margins(y=0.12)
    return figure


def draw_step_times(results: Sequence[Result], title: str) -> Figure:
    """Draws the measured time of a step of each scheme: a dot for each seed, and a bar of the mean.

    Args:
        results: of the runs; those without a time are left out.
        title: above the panel.

    Returns:
        The figure.

    Raises:
        InputError: if no run has a time.
    """
    schemes = _by_scheme(results, "step_ms")
    figure = Figure(figsize=(_width(schemes), 3.0), layout="constrained")
    axes = figure.subplots()
    means = [values.mean() for values in schemes.values()]
    bars = axes.bar(range(len(schemes)), means, width=0.6, color=BLUE, alpha=0.8)
    for place, values in enumerate(schemes.values()):
        axes.plot(np.full(len(values), place), values, "o", color="0.2", markersize=4)
    labels = [f"{mean:.1f}" for mean in means]
    axes.bar_label(bars, labels, label_type="center", color="white", fontsize=SMALL)
    _finish(axes, schemes, title, "measured median time of a step (ms)")
    return figure


def _width(schemes: dict[str, np.ndarray]) -> float:
    """A column of a page for few schemes, both for many, inches."""
    return COLUMN if len(schemes) <= 4 else PAGE


def _by_scheme(results: Sequence[Result], name: str) -> dict[str, np.ndarray]:
    """The values of a field of the results, float64 [runs] for each scheme."""
    schemes: dict[str, list[float]] = {}
    for result in results:
        if getattr(result, name) is not None:
            schemes.setdefault(result.scheme, []).append(getattr(result, name))
    if not schemes:
        raise InputError(f"no run has a result for {name}, so there is nothing to draw")
    return {scheme: np.array(values) for scheme, values in schemes.items()}


def _finish(axes: Axes, schemes: dict[str, np.ndarray], title: str, y_label: str) -> None:
    style_axes(axes, title, y_label=y_label)
    list_categories(axes, list(schemes))
