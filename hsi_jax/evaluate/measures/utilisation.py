"""How each device spent the timed steps, as measured: own work, waiting, communication."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.run.summary import Summary
from hsi_jax.run.summary_parts import TimelineStep


@dataclass(frozen=True)
class Utilisation:
    """How each device spent the timed steps: fractions of their time, which sum to 1.

    Attributes:
        busy: on its own microbatches, [devices].
        waiting: for the slowest device, after its own microbatches, [devices].
        communication: the rest, [devices]: reduction, update, and the host's work around the step.
    """

    busy: list[float]
    waiting: list[float]
    communication: list[float]


def utilisation(timeline: Sequence[TimelineStep]) -> Utilisation:
    """How each device spent the timed steps.

    A step lasts from the time when its first device begins to the time when its last one ends.

    Args:
        timeline: the timed steps.

    Raises:
        InputError: if there is no timed step.
    """
    if not timeline:
        raise InputError("`timeline` has no timed step; time at least one")
    parts = np.sum([list(_split(step).values()) for step in timeline], axis=0)
    fractions = parts / parts.sum(axis=0)
    return Utilisation(*fractions.tolist())


def _split(step: TimelineStep) -> dict[str, np.ndarray]:
    """Seconds of each part of a step, float64 [devices]."""
    began, worked, ended = map(np.array, (step.began, step.worked, step.ended))
    busy, waiting = worked - began, worked.max() - worked
    return {
        "busy": busy,
        "waiting": waiting,
        "communication": ended.max() - began.min() - busy - waiting,
    }


def process_names(summary: Summary) -> list[str]:
    """What was timed: the devices, where each has a process of its own, or else the processes."""
    count = len(summary.timeline[0].began) if summary.timeline else 0
    if count == len(summary.device_names):
        return list(summary.device_names)
    return [f"process {number}" for number in range(count)]
