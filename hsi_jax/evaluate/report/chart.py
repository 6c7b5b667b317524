"""A line chart for a page: lines in a square of 100 x 100, and labels placed in per cent.

The page stretches the square to the width it has, and sets the labels as text of its own size.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MAX_POINTS = 600


@dataclass(frozen=True)
class Series:
    """What is drawn as one line.

    Attributes:
        name: for legend and reading.
        x: float [n], increasing.
        y: float [n]; nan leaves a gap.
        style: number of its colour and dash in the style sheet, from 0.
        points: whether its values are marks instead of a line.
        stepped: whether a value holds until the next one.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    style: int = 0
    points: bool = False
    stepped: bool = False


@dataclass(frozen=True)
class Drawn:
    """A series as drawn: an SVG path, and marks as (left, top) in per cent."""

    name: str
    style: int
    path: str
    marks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """All of a chart; places are in per cent from the left and from the top.

    `reading` is JSON for the script: names, x and y of the series, and the range of x.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    drawn: tuple[Drawn, ...]
    reading: str
    rule: float | None = None


def draw_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    rule: float | None = None,
    from_zero: bool = False,
) -> Chart | None:
    """Draws series; on a logarithmic axis where all y are positive and span more than 100 times.

    Args:
        title: of the chart.
        series: to be drawn.
        x_label: what x is.
        y_label: what y is.
        rule: an x to be marked.
        from_zero: whether the axis of y begins at 0.

    Returns:
        The chart, or None where no series has a finite value.
    """
    series = [_thin(one) for one in series if np.isfinite(one.y).any()]
    if not series:
        return None
    every_x = np.concatenate([one.x for one in series])
    every_y = np.concatenate([one.y[np.isfinite(one.y)] for one in series])
    log = not from_zero and 0 < 100 * every_y.min() < every_y.max()
    x_range, x_ticks = _axis(min(0, every_x.min()), every_x.max(), whole=True)
    low = 0.0 if from_zero else every_y.min()
    y_range, y_ticks = _log_axis(low, every_y.max()) if log else _axis(low, every_y.max())
    drawn = tuple(_draw(one, x_range, y_range, log) for one in series)
    return Chart(
        title=title,
        x_label=x_label,
        y_label=f"{y_label} (logarithmic)" if log else y_label,
        x_ticks=tuple((_place(x, x_range), f"{x:,.10g}") for x in x_ticks),
        y_ticks=tuple(
            (100 - _place(math.log10(y) if log else y, y_range), f"{y:,.6g}") for y in y_ticks
        ),
        drawn=drawn,
        reading=_reading(series, x_range, x_label),
        rule=None if rule is None else float(np.clip(_place(rule, x_range), 0, 100)),
    )


def _axis(low: float, high: float, whole: bool = False) -> tuple[tuple[float, float], list[float]]:
    """The range of an axis and its ticks."""
    from matplotlib.ticker import MaxNLocator

    low, high = float(low), float(high)
    if high == low and (whole or not low):
        high = low + 1
    elif high == low:  # downwards, because an accuracy above 1 would mean nothing
        low = high - abs(high) / 10
    locator = MaxNLocator(5, integer=whole, steps=[1, 2, 5, 10])
    ticks = [float(tick) for tick in locator.tick_values(low, high)]
    if not whole:  # values lie freely, so that the axis may end at ticks
        return (min(low, ticks[0]), max(high, ticks[-1])), ticks
    return (low, high), [tick for tick in ticks if low <= tick <= high]


def _log_axis(low: float, high: float) -> tuple[tuple[float, float], list[float]]:
    """The range of the logarithms, and the powers of ten in it."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, (last - first) // 5)
    return (first, last), [10.0**power for power in range(first, last + 1, every)]


def _place(value: float, limits: tuple[float, float]) -> float:
    return round(100 * (value - limits[0]) / (limits[1] - limits[0]), 2)


def _thin(series: Series) -> Series:
    """A long line becomes the means of equal parts of it."""
    size = math.ceil(len(series.x) / _MAX_POINTS)
    if size < 2:
        return series
    starts = np.arange(0, len(series.x), size)
    finite = np.isfinite(series.y)
    counts = np.add.reduceat(finite.astype(int), starts)
    sums = np.add.reduceat(np.where(finite, series.y, 0), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
    ends = np.minimum(starts + size, len(series.x)) - 1
    name = f"{series.name} (means of {size:,})"
    x = (series.x[starts] + series.x[ends]) // 2
    return Series(name, x, means, series.style, series.points, series.stepped)


def _draw(
    series: Series, x_range: tuple[float, float], y_range: tuple[float, float], log: bool
) -> Drawn:
    """A path of SVG; a value that is not finite begins a new part of it."""
    marks, path, pen, last = [], [], "M", 0.0
    for x, y in zip(series.x.tolist(), series.y.tolist(), strict=True):
        if not math.isfinite(y):
            pen = "M"
            continue
        place = _place(x, x_range), round(100 - _place(math.log10(y) if log else y, y_range), 2)
        marks.append(place)
        if series.stepped and pen == "L":
            path.append(f"L{place[0]} {last}")
        path.append(f"{pen}{place[0]} {place[1]}")
        pen, last = "L", place[1]
    marked = series.points or len(marks) <= 24
    return Drawn(
        series.name,
        series.style,
        "" if series.points else "".join(path),
        tuple(marks) if marked else (),
    )


def _reading(series: Sequence[Series], x_range: tuple[float, float], x_label: str) -> str:
    content = {
        "label": x_label,
        "range": x_range,
        "series": [
            {
                "name": one.name,
                "x": one.x.tolist(),
                "y": [float(f"{y:.5g}") if math.isfinite(y) else None for y in one.y.tolist()],
            }
            for one in series
        ],
    }
    return json.dumps(content, allow_nan=False)
