"""What each device did in timed steps, as measured: its own work, waiting, communication."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hsi_jax.errors import InputError

# What, colour and hatch of the bars.
_PARTS = {
    "busy": ("own work", "#0072b2", ""),
    "waiting": ("waiting for the slowest", "white", "////"),
    "communication": ("communication and update", "#e69f00", ""),
}


@dataclass(frozen=True)
class Utilisation:
    """Fractions of the time of the timed steps, of each device, [devices]; they sum to 1.

    Attributes:
        busy: the device did its own microbatches.
        waiting: it had done them, and the slowest device had not.
        communication: the rest: reduction, update, and what the host does around the step.
    """

    busy: list[float]
    waiting: list[float]
    communication: list[float]


def utilisation(timeline: Sequence[dict]) -> Utilisation:
    """What part of the timed steps each device spent how.

    A step lasts from when its first device begins until its last one ends.

    Args:
        timeline: of each timed step the times at which each device `began`, had `worked` and
            `ended`, s by one clock, each [devices].

    Raises:
        InputError: if there is no timed step.
    """
    if not timeline:
        raise InputError("there is no timed step; time at least one")
    parts = np.sum([list(_split(step).values()) for step in timeline], axis=0)
    fractions = parts / parts.sum(axis=0)
    return Utilisation(*fractions.tolist())


def _split(step: dict) -> dict[str, np.ndarray]:
    """Seconds of each part of a step, [devices]."""
    began, worked, ended = (np.array(step[name]) for name in ("began", "worked", "ended"))
    busy, waiting = worked - began, worked.max() - worked
    return {
        "busy": busy,
        "waiting": waiting,
        "communication": ended.max() - began.min() - busy - waiting,
    }


def draw_timeline(
    timeline: Sequence[dict], names: Sequence[str], title: str, steps: int = 3
) -> Figure:
    """Draws what D devices did in the last timed steps, a panel for each step.

    Args:
        timeline: as for `utilisation`, with the number of each `step`.
        names: of the devices, [D].
        title: above the panels.
        steps: panels, at most.

    Raises:
        InputError: if there is no timed step.
    """
    if not timeline:
        raise InputError("there is no timed step to draw; time at least one")
    shown = list(timeline)[-steps:]
    figure = Figure(figsize=(1.5 + 3.5 * len(shown), 1.7 + 0.5 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for axes, step in zip(panels, shown, strict=True):
        _draw_step(axes, step)
        axes.set_title(f"step {step['step']:,}", fontsize=10)
        axes.set_xlabel("measured time (ms)")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(names)), names, fontsize=9)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    figure.suptitle(title, fontsize=11)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _draw_step(axes, step: dict) -> None:
    """Bars at the times by the clock, from when the first device begins; gaps are the host's."""
    began, worked, ended = (
        1e3 * (np.array(step[name]) - min(step["began"])) for name in ("began", "worked", "ended")
    )
    last = worked.max()
    bars = {"busy": (began, worked), "waiting": (worked, last), "communication": (last, ended)}
    for part, (start, end) in bars.items():
        label, colour, hatch = _PARTS[part]
        axes.barh(
            range(len(began)),
            np.maximum(end - start, 0),
            left=start,
            height=0.6,
            facecolor=colour,
            edgecolor="0.5" if hatch else colour,
            hatch=hatch,
            linewidth=0.4,
            label=label,
        )
