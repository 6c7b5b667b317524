"""A picture of the part of a cluster's time that trains, where devices are lost."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.style import BLUE, ORANGE, PAGE, TEXT, set_legend_below, style_axes

_WAYS = (
    ("modelled_goodput_finishing", "survivors finish the step", BLUE),
    ("modelled_goodput_restarting", "restart from a checkpoint", ORANGE),
)


def draw_goodput(clusters: Sequence[dict[str, Any]], title: str = "") -> Figure:
    """Draws the modelled goodput by the number of devices.

    Args:
        clusters: a row for each cluster, with the keys `devices`, `modelled_goodput_finishing` and
            `modelled_goodput_restarting` (fractions of 1).
        title: above the figure.

    Raises:
        InputError: if there is no cluster, or a row lacks a key.
    """
    if not clusters:
        raise InputError("`clusters` is empty; give at least one row")
    for key in ("devices", *(key for key, _, _ in _WAYS)):
        if any(key not in row for row in clusters):
            raise InputError(f"`clusters` has a row that lacks {key!r}; give whole rows")
    rows = sorted(clusters, key=lambda row: row["devices"])
    figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for key, name, colour in _WAYS:
        points = [(row["devices"], row[key]) for row in rows]
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=name)
    style_axes(axes, "Part of the time of all devices that trains", "devices", "modelled goodput")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_ylim(0, 1.05)
    set_legend_below(axes)
    if title:
        figure.suptitle(title, fontsize=TEXT)
    return figure
