"""The picture of paired differences: how far each method is from the best one, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.style import BLUE, PAGE, SMALL, TEXT, style_axes
from hsi_jax.evaluate.measures.paired import LEVEL, PairedTest

_ROW = 0.26  # height of a method, inches


def against(tests: Sequence[PairedTest], method: str) -> list[PairedTest]:
    """The tests of a method, each turned so that it is the other one less this one."""
    return [
        test if test.second == method else _turned(test)
        for test in tests
        if method in (test.first, test.second)
    ]


def _turned(test: PairedTest) -> PairedTest:
    interval = test.interval and (-test.interval[1], -test.interval[0])
    differences = {seed: -value for seed, value in test.differences.items()}
    return replace(
        test, first=test.second, second=test.first, differences=differences, interval=interval
    )


def draw_differences(panels: Mapping[str, tuple[str, Sequence[PairedTest]]]) -> Figure:
    """Draws the difference in OA of every method to the best one, a panel for each protocol.

    A dot is a seed, a diamond the mean, and a bar the 95 % interval of the mean difference. Where
    there is no interval, the reason stands instead.

    Args:
        panels: by title: the method of the highest mean OA, and the tests of all pairs.

    Returns:
        The figure.

    Raises:
        InputError: if there is nothing to draw.
    """
    rows = {title: against(tests, best) for title, (best, tests) in panels.items()}
    rows = {title: [t for t in tests if t.differences] for title, tests in rows.items()}
    rows = {title: tests for title, tests in rows.items() if tests}
    if not rows:
        raise InputError("no two methods have a seed in common, so there is nothing to draw")
    heights = [len(tests) * _ROW for tests in rows.values()]
    size = (PAGE, sum(heights) + 0.55 * len(rows) + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, tests) in zip(grid, rows.items(), strict=True):
        style_axes(axes, title)
        _draw_panel(axes, tests)
    axes = grid[-1]
    axes.set_xlabel(
        f"test OA less that of the best method (points); bars: {LEVEL:.0%} intervals",
        fontsize=TEXT,
    )
    return figure


def _draw_panel(axes: Axes, tests: Sequence[PairedTest]) -> None:
    for row, test in enumerate(tests):
        percent = 100 * np.array(list(test.differences.values()))
        offsets = np.linspace(-0.18, 0.18, len(percent)) if len(percent) > 1 else np.zeros(1)
        axes.plot(percent, row + offsets, "o", color=BLUE, alpha=0.45, markersize=3.5)
        axes.plot(percent.mean(), row, "D", color="0.15", markersize=4.5)
        if test.interval:
            low, high = (100 * bound for bound in test.interval)
            axes.hlines(row, low, high, color="0.15", linewidth=1.4)
        else:
            axes.annotate(
                test.reason,
                (1.01, row),
                xycoords=("axes fraction", "data"),
                fontsize=SMALL,
                va="center",
            )
    axes.axvline(0, color="0.5", linewidth=0.8)
    names = [f"{test.first} less {test.second}" for test in tests]
    axes.set_yticks(range(len(tests)), names, fontsize=SMALL)
    axes.set_ylim(len(tests) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.05)
