"""A picture of what each device did in timed steps: own work, waiting, communication."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.lettering import lettered
from hsi_jax.evaluate.figures.style import BLUE, ORANGE, PAGE, SMALL, TEXT, list_devices
from hsi_jax.run.summary_devices import TimelineStep

# Name, colour and hatch of the bars of each part of a step.
_PARTS = {
    "busy": ("own work", BLUE, ""),
    "waiting": ("waiting for the slowest", "white", "////"),
    "communication": ("communication and update", ORANGE, ""),
}


@lettered
def draw_timeline(
    timeline: Sequence[TimelineStep], names: Sequence[str], title: str, steps: int = 3
) -> Figure:
    """Draws what the devices did in the last timed steps, a panel for each step.

    Args:
        timeline: the timed steps.
        names: of the devices.
        title: above the panels.
        steps: the largest number of panels.

    Returns:
        The figure.

    Raises:
        InputError: if there is no timed step.
    """
    if not timeline:
        raise InputError("`timeline` has no timed step to draw; time at least one")
    shown = list(timeline)[-steps:]
    figure = Figure(figsize=(PAGE, 1.3 + 0.4 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for axes, step in zip(panels, shown, strict=True):
        _draw_step(axes, step)
        axes.set_title(f"step {step.step:,}", fontsize=TEXT)
        axes.set_xlabel("measured time (ms)", fontsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.tick_params(labelsize=SMALL)
        axes.tick_params(axis="y", length=0)
    list_devices(panels[0], list(names))
    figure.suptitle(title, fontsize=TEXT + 1)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False
    )
    return figure


def _draw_step(axes: Axes, step: TimelineStep) -> None:
    """Draws bars over the time since the first device began; gaps are the host's work."""
    start = min(step.began)
    times = (step.began, step.worked, step.ended)
    began, worked, ended = (1e3 * (np.array(stamps) - start) for stamps in times)
    last = worked.max()
    bars = {"busy": (began, worked), "waiting": (worked, last), "communication": (last, ended)}
    for part, (left, right) in bars.items():
        label, colour, hatch = _PARTS[part]
        axes.barh(
            range(len(began)),
            np.maximum(right - left, 0),
            left=left,
            height=0.6,
            facecolor=colour,
            edgecolor="0.5" if hatch else colour,
            hatch=hatch,
            linewidth=0.4,
            label=label,
        )
