"""Each device's part of a step, and its modelled busy and waiting time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.lettering import lettered
from hsi_jax.evaluate.figures.palette import class_colours
from hsi_jax.evaluate.figures.style import BLUE, ORANGE, PAGE, SMALL, TEXT, list_devices
from hsi_jax.run.summary import RunFacts
from hsi_jax.run.summary_devices import TimedStep

_LOWER_ROW = 2.4  # height of the panels of the history, inches


@lettered
def draw_shares(summary: RunFacts) -> Figure:
    """Draws the share of each device in a step, and the modelled times of the devices.

    A device waits from the end of its own work until the slowest device is done. A device whose
    modelled time is infinite takes no part. If devices were timed while training, a second row
    shows how shares and measured times changed.

    Args:
        summary: of the run. These are read: `device_names`, `speeds`, `shares`, `weights`,
            `modelled_device_times`, `modelled_device_times_even`, `modelled_time_unit`, `scheme`
            and `rebalancing`.

    Returns:
        The figure.

    Raises:
        InputError: if there is no device, or a field does not have one number for each device, or
            a number is negative or nan.
    """
    names, history = summary.device_names, summary.rebalancing
    speeds, shares, weights = (_read(summary, name) for name in ("speeds", "shares", "weights"))
    height = 1.3 + 0.4 * len(names)
    rows = 2 if history else 1
    figure = Figure(figsize=(PAGE, height + _LOWER_ROW * (rows - 1)), layout="constrained")
    grid = figure.add_gridspec(rows, 2, height_ratios=[height, _LOWER_ROW][:rows])
    left = figure.add_subplot(grid[0, 0])
    right = figure.add_subplot(grid[0, 1], sharey=left)
    right.tick_params(labelleft=False)
    if history:
        _draw_history(figure, grid, names, history)
    labels = [f"{name}\nspeed {speed:.4g}" for name, speed in zip(names, speeds, strict=True)]
    list_devices(left, labels)
    left.set_title(f"Share of each device, scheme {summary.scheme}", fontsize=TEXT)
    _draw_counts(left, shares, weights)
    _draw_modelled(right, summary)
    handles = right.get_legend_handles_labels()
    style = {"ncols": 4, "columnspacing": 1.2, "fontsize": SMALL, "frameon": False}
    figure.legend(*handles, loc="outside lower center", **style)
    return figure


def _draw_history(
    figure: Figure, grid: GridSpec, names: Sequence[str], history: Sequence[TimedStep]
) -> None:
    left, right = (figure.add_subplot(grid[1, column]) for column in (0, 1))
    steps = [record.step for record in history]
    shares = np.array([record.shares for record in history], dtype=np.float64)
    seconds = np.array([record.device_seconds for record in history], dtype=np.float64)
    for device, colour in enumerate(class_colours(len(names))):
        style = {"color": colour, "marker": "o", "markersize": 3, "label": names[device]}
        left.step(steps, shares[:, device], where="post", **style)
        right.plot(steps, 1e3 * seconds[:, device], **style)
    left.set_title("Shares while training", fontsize=TEXT)
    left.set_ylabel("microbatches in a step", fontsize=SMALL)
    right.set_title("Measured time of own work", fontsize=TEXT)
    right.set_ylabel("measured time (ms)", fontsize=SMALL)
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=SMALL)
        axes.set_xlabel("step", fontsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.legend(fontsize=SMALL, frameon=False)


def _draw_counts(axes: Axes, shares: np.ndarray, weights: np.ndarray) -> None:
    bars = axes.barh(range(len(shares)), shares, height=0.6, color=BLUE)
    total = max(shares.sum(), 1)
    labels = [
        f"{share:.0f} ({share / total:.1%}), weight {weight:.4g}"
        for share, weight in zip(shares, weights, strict=True)
    ]
    axes.bar_label(bars, labels, padding=3, fontsize=SMALL)
    axes.set_xlim(0, 3.2 * max(shares.max(), 1))  # room for the label of the longest bar
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("microbatches in a step", fontsize=SMALL)


def _draw_modelled(axes: Axes, summary: RunFacts) -> None:
    """Draws the modelled times, beside those with even shares where these are possible."""
    times = _read(summary, "modelled_device_times")
    if summary.modelled_device_times_even is None:
        _draw_times(axes, times, summary.scheme, colour=BLUE, centre=0, height=0.6)
    else:
        even = _read(summary, "modelled_device_times_even")
        _draw_times(axes, times, summary.scheme, colour=BLUE, centre=-0.2, height=0.36)
        _draw_times(axes, even, "even shares", colour=ORANGE, centre=0.2, height=0.36)
    axes.set_title("Modelled time of a step", fontsize=TEXT)
    axes.set_xlabel(f"modelled time ({summary.modelled_time_unit})", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    # Room for the label of the longest bar, which the sticky edges of bars would not leave.
    axes.use_sticky_edges = False
    axes.margins(x=0.2)
    axes.set_xlim(left=0)


def _draw_times(
    axes: Axes, times: np.ndarray, name: str, *, colour: str, centre: float, height: float
) -> None:
    places = np.arange(len(times)) + centre
    active = np.isfinite(times)
    busy = times[active]
    slowest = busy.max(initial=0)
    axes.barh(places[active], busy, height, color=colour, label=f"busy, {name}")
    waiting = axes.barh(
        places[active],
        slowest - busy,
        height,
        left=busy,
        facecolor="white",
        edgecolor=colour,
        hatch="////",
        linewidth=0.6,
        label=f"waiting for the slowest, {name}",
    )
    axes.bar_label(waiting, [f"{time:.4g}" for time in busy], padding=3, fontsize=SMALL)
    for place in places[~active]:
        axes.text(0, place, " takes no part", va="center", fontsize=SMALL, color="0.3")


def _read(summary: RunFacts, name: str) -> np.ndarray:
    """The numbers of the devices in a field, float64 [devices]."""
    values = np.array(getattr(summary, name), dtype=np.float64)
    devices = len(summary.device_names)
    if devices == 0 or len(values) != devices:
        raise InputError(
            f"the summary has {len(values)} numbers in `{name}` for {devices} devices; there must "
            f"be one for each"
        )
    if not (values >= 0).all():
        raise InputError(
            f"the summary has {values.min():g} in `{name}`; no number may be below 0 or nan"
        )
    return values
