"""Who did how much: each device's part of a step, and its modelled busy and waiting time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hsi_jax.errors import InputError
from hsi_jax.evaluate.palette import class_colours

_CHOSEN, _EVEN = "#0072b2", "#e69f00"


def draw_shares(
    names: Sequence[str],
    speeds: Sequence[float],
    shares: Sequence[int],
    weights: Sequence[float],
    modelled_times: Sequence[float],
    scheme: str,
    time_unit: str,
    even_times: Sequence[float] | None = None,
    history: Sequence[dict] = (),
) -> Figure:
    """Draws the shares of D devices in a step, and how long a model says that they take.

    With a history, a second row shows how shares and measured times went while training.

    A device waits from the end of its own work until the slowest device that takes part is done.
    An infinite time stands for a device that takes no part.

    Args:
        names: the D devices.
        speeds: speed of each, in any unit.
        shares: microbatches of each in a step.
        weights: weight of each device's mean loss in the loss of the step.
        modelled_times: busy time of each in a step as modelled, in `time_unit`.
        scheme: name of the scheme that gave the shares.
        time_unit: unit of the times, such as "ms".
        even_times: the modelled times had every device an equal share.
        history: of each timed step its `step`, the `device_seconds` measured in it and the
            `shares` from then on, each [D].

    Returns:
        The figure.

    Raises:
        InputError: there is no device, a list does not have one value for each device, or a value
            is negative or nan.
    """
    speeds, shares, weights, modelled_times = (
        _check(key, values, len(names))
        for key, values in (
            ("speeds", speeds),
            ("shares", shares),
            ("weights", weights),
            ("modelled_times", modelled_times),
        )
    )
    height = 1.7 + 0.5 * len(names)
    rows = 2 if len(history) else 1
    figure = Figure(figsize=(12, height + 3 * (rows - 1)), layout="constrained")
    grid = figure.add_gridspec(rows, 2, height_ratios=[height, 3][:rows])
    left = figure.add_subplot(grid[0, 0])
    right = figure.add_subplot(grid[0, 1], sharey=left)
    right.tick_params(labelleft=False)
    if len(history):
        _draw_history(figure.add_subplot(grid[1, 0]), names, history, "shares")
        _draw_history(figure.add_subplot(grid[1, 1]), names, history, "device_seconds")
    _draw_counts(left, shares, weights)
    left.set_title(f"Share of each device, scheme {scheme}", fontsize=11)
    labels = [f"{name}\nspeed {speed:.4g}" for name, speed in zip(names, speeds, strict=True)]
    left.set_yticks(range(len(names)), labels, fontsize=9)
    left.set_ylim(len(names) - 0.4, -0.6)
    if even_times is None:
        _draw_times(right, modelled_times, scheme, _CHOSEN, centre=0, height=0.6)
    else:
        even_times = _check("even_times", even_times, len(names))
        _draw_times(right, modelled_times, scheme, _CHOSEN, centre=-0.2, height=0.36)
        _draw_times(right, even_times, "even shares", _EVEN, centre=0.2, height=0.36)
    _finish_times(right, time_unit)
    times = right.get_legend_handles_labels()
    figure.legend(*times, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def _draw_history(axes: Axes, names: Sequence[str], history: Sequence[dict], key: str) -> None:
    steps = [record["step"] for record in history]
    values = np.array([record[key] for record in history], dtype=np.float64)
    for device, colour in enumerate(class_colours(len(names))):
        style = {"color": colour, "marker": "o", "markersize": 3, "label": names[device]}
        if key == "shares":
            axes.step(steps, values[:, device], where="post", **style)
        else:
            axes.plot(steps, 1e3 * values[:, device], **style)
    title = "Shares while training" if key == "shares" else "Measured time of own work"
    axes.set_title(title, fontsize=11)
    axes.set_ylabel("microbatches in a step" if key == "shares" else "measured time (ms)")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.legend(fontsize=8, frameon=False)


def _draw_counts(axes: Axes, shares: np.ndarray, weights: np.ndarray) -> None:
    bars = axes.barh(range(len(shares)), shares, height=0.6, color=_CHOSEN)
    total = max(shares.sum(), 1)
    labels = [
        f"{share:.0f} ({share / total:.1%}), weight {weight:.4g}"
        for share, weight in zip(shares, weights, strict=True)
    ]
    axes.bar_label(bars, labels, padding=4, fontsize=9)
    axes.set_xlim(0, 1.75 * max(shares.max(), 1))  # room for the label of the longest bar
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("microbatches in a step")


def _draw_times(
    axes: Axes, times: np.ndarray, name: str, colour: str, centre: float, height: float
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
    axes.bar_label(waiting, [f"{time:.4g}" for time in busy], padding=4, fontsize=8)
    for place in places[~active]:
        axes.text(0, place, " takes no part", va="center", fontsize=8, color="0.3")


def _finish_times(axes: Axes, time_unit: str) -> None:
    axes.set_title("Modelled time of a step", fontsize=11)
    axes.set_xlabel(f"modelled time ({time_unit})")
    axes.tick_params(axis="y", length=0)
    # Room for the label of the longest bar; bars would else stick to the frame.
    axes.use_sticky_edges = False
    axes.margins(x=0.12)
    axes.set_xlim(left=0)


def _check(key: str, values: Sequence[float], devices: int) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if devices == 0 or values.shape != (devices,):
        raise InputError(
            f"{key} has shape {values.shape} for {devices} names; give one value for each device"
        )
    if not (values >= 0).all():
        raise InputError(f"{key} holds {values.min():g}; give numbers of at least 0")
    return values
