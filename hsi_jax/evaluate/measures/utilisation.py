"""How each device spent the timed steps, as measured: own work, waiting, communication."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.run.summary import RunFacts
from hsi_jax.run.summary_devices import MeasuredStep, TimelineStep


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


def measure_step(
    timeline: Sequence[TimelineStep], device_names: Sequence[str]
) -> MeasuredStep | None:
    """Where the time of a step went, by the timed steps; None without any.

    Args:
        timeline: the timed steps.
        device_names: of the profile.
    """
    if not timeline:
        return None
    splits = [_split(step) for step in timeline]
    own, waiting = (
        1e3 * np.median([split[part] for split in splits], axis=0) for part in ("busy", "waiting")
    )
    return MeasuredStep(
        names=tuple(_names(timeline, device_names)),
        own_work_ms=tuple(own.tolist()),
        waiting_ms=tuple(waiting.tolist()),
        sum_and_update_ms=1e3 * float(np.median([max(s.ended) - max(s.worked) for s in timeline])),
        step_ms=1e3 * float(np.median([max(s.ended) - min(s.began) for s in timeline])),
        timed_steps=len(timeline),
        phases_ms={
            phase: tuple((1e3 * np.median([s.phases[phase] for s in timeline], axis=0)).tolist())
            for phase in timeline[0].phases
        },
    )


def process_names(summary: RunFacts) -> list[str]:
    """What was timed: the devices, where each has a process of its own, or else the processes."""
    return _names(summary.timeline, summary.device_names)


def _names(timeline: Sequence[TimelineStep], device_names: Sequence[str]) -> list[str]:
    count = len(timeline[0].began) if timeline else 0
    if count == len(device_names):
        return list(device_names)
    return [f"process {number}" for number in range(count)]
