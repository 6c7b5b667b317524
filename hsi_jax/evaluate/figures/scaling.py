"""A picture of the modelled gain of balanced shares on clusters of many sizes and mixtures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import class_colours
from hsi_jax.evaluate.figures.style import BLUE, ORANGE, PAGE, TEXT, set_legend_below, style_axes

Row = dict[str, Any]

_BALANCED, _EVEN = BLUE, ORANGE
_NEEDED = ("devices", "modelled_gain", "modelled_balanced_utilisation", "modelled_even_utilisation")


def draw_scaling(clusters: Sequence[Row], mixtures: Sequence[Row], title: str = "") -> Figure:
    """Draws modelled utilisation and gain by the number of devices, and gain by the speed ratio.

    Args:
        clusters: a row for each cluster that is like a profile, with the keys `devices`,
            `modelled_gain` (time of an even step divided by that of a balanced one),
            `modelled_balanced_utilisation` and `modelled_even_utilisation` (fractions of 1).
        mixtures: a row for each cluster of two kinds of devices, with the same keys and
            `slow_fraction` (fraction of slow devices) and `speed_ratio` (fast to slow).
        title: above the figure.

    Returns:
        The figure: utilisation and gain over the number of devices; for the smallest and the
        largest of the mixtures, gain over the ratio with a line for each fraction.

    Raises:
        InputError: if there is no cluster or no mixture, or a row lacks a key.
    """
    _check("clusters", clusters, _NEEDED)
    _check("mixtures", mixtures, (*_NEEDED, "slow_fraction", "speed_ratio"))
    sizes = {row["devices"] for row in mixtures}
    chosen = sorted({min(sizes), max(sizes)})
    figure = Figure(figsize=(PAGE, 6.6), layout="constrained")
    panels = [figure.add_subplot(2, 2, place) for place in range(1, 3 + len(chosen))]
    _draw_utilisation(panels[0], clusters)
    _draw_gain_by_devices(panels[1], clusters, mixtures)
    for axes, devices in zip(panels[2:], chosen, strict=True):
        _draw_gain_by_ratio(axes, [row for row in mixtures if row["devices"] == devices], devices)
    gains = (row["modelled_gain"] for row in (*clusters, *mixtures))
    top = max((gain for gain in gains if gain > 1), default=1)
    for axes in panels[1:]:
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylim(0.95, 1.1 * top)
    if title:
        figure.suptitle(title, fontsize=TEXT + 1)
    return figure


def _draw_utilisation(axes: Axes, clusters: Sequence[Row]) -> None:
    for scheme, colour in (("balanced", _BALANCED), ("even", _EVEN)):
        key = f"modelled_{scheme}_utilisation"
        _draw_line(axes, clusters, "devices", key, colour=colour, name=scheme)
    axes.set_ylim(0, 1.05)
    _finish(axes, "Utilisation, devices as in the profile", "devices", "modelled utilisation")


def _draw_gain_by_devices(axes: Axes, clusters: Sequence[Row], mixtures: Sequence[Row]) -> None:
    """A line for the profile's mix, and one for each ratio at the middle fraction of slow ones."""
    line = {"x": "devices", "y": "modelled_gain"}
    _draw_line(axes, clusters, **line, colour="0.1", name="as in the profile", style="--")
    fractions = sorted({row["slow_fraction"] for row in mixtures})
    middle = fractions[len(fractions) // 2]
    ratios = sorted({row["speed_ratio"] for row in mixtures})
    for ratio, colour in zip(ratios, class_colours(len(ratios)), strict=True):
        rows = [r for r in mixtures if (r["slow_fraction"], r["speed_ratio"]) == (middle, ratio)]
        name = f"{100 * middle:g} % slower, ratio {ratio:g}"
        _draw_line(axes, rows, **line, colour=colour, name=name)
    _finish(axes, "Gain by number of devices", "devices", "modelled gain over even shares")


def _draw_gain_by_ratio(axes: Axes, mixtures: Sequence[Row], devices: int) -> None:
    fractions = sorted({row["slow_fraction"] for row in mixtures})
    for fraction, colour in zip(fractions, class_colours(len(fractions)), strict=True):
        rows = [row for row in mixtures if row["slow_fraction"] == fraction]
        name = f"{100 * fraction:g} % slow"
        _draw_line(axes, rows, "speed_ratio", "modelled_gain", colour=colour, name=name)
    title = f"Gain by heterogeneity, {devices:,} devices"
    _finish(axes, title, "speed of fast by slow devices", "modelled gain over even shares")


def _draw_line(
    axes: Axes, rows: Sequence[Row], x: str, y: str, *, colour: Any, name: str, style: str = "-"
) -> None:
    rows = sorted(rows, key=lambda row: row[x])
    points = np.array([(row[x], row[y]) for row in rows], dtype=np.float64)
    axes.plot(*points.T, style, color=colour, marker="o", markersize=4, label=name)


def _finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    style_axes(axes, title, x_label, y_label)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:,g}")
    set_legend_below(axes)


def _check(name: str, rows: Sequence[Row], keys: Sequence[str]) -> None:
    if not rows:
        raise InputError(f"`{name}` is empty; give at least one row")
    for row in rows:
        for key in keys:
            if key not in row:
                raise InputError(f"`{name}` has {row}, which lacks {key!r}; give whole rows")
