"""The tables of the devices of a run: shares and modelled times, and measured parts of a step."""

import math
from dataclasses import dataclass

from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.utilisation import process_names, utilisation
from hsi_jax.evaluate.run_files import RunFiles
from hsi_jax.run.summary import RunFacts


@dataclass(frozen=True)
class DeviceRow:
    """A device; a time is None where it takes no part, or the profile gives none."""

    name: str
    speed: float
    share: int
    part: float
    weight: float
    modelled: float | None
    modelled_even: float | None


def device_rows(summary: RunFacts) -> tuple[DeviceRow, ...]:
    """A row for each device; none where the summary has not one number for each."""
    names, times = summary.device_names, summary.modelled_device_times
    even = summary.modelled_device_times_even or (math.inf,) * len(names)
    columns = names, summary.speeds, summary.shares, summary.weights, times, even
    if len({len(column) for column in columns}) > 1:
        return ()
    total = sum(summary.shares) or 1
    return tuple(
        DeviceRow(name, speed, share, share / total, weight, _finite(time), _finite(even_time))
        for name, speed, share, weight, time, even_time in zip(*columns, strict=True)
    )


def _finite(time: float) -> float | None:
    return time if math.isfinite(time) else None


def measured_parts(run: RunFiles) -> list[tuple[str, float, float, float]]:
    """Of each process the measured fractions of own work, waiting and the rest; none if untimed.

    Raises:
        InputError: if the timed steps do not have the same processes.
    """
    if not run.facts or not run.facts.timeline:
        return []
    timeline, names = run.facts.timeline, process_names(run.facts)
    if any(len(times) != len(names) for s in timeline for times in (s.began, s.worked, s.ended)):
        raise InputError("The timed steps in summary.json have different numbers of processes")
    parts = utilisation(timeline)
    return list(zip(names, parts.busy, parts.waiting, parts.communication, strict=True))
