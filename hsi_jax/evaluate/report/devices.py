"""The devices of a run: shares and modelled times, and what was measured in the timed steps."""

import math
from dataclasses import dataclass

from hsi_jax.evaluate.measures.utilisation import utilisation
from hsi_jax.run.summary import Summary
from hsi_jax.run.summary_parts import TimelineStep

_SHOWN_STEPS = 3


@dataclass(frozen=True)
class Bar:
    """A part of a step on a row of time: what it is, from where and how wide, in per cent."""

    kind: str
    left: float
    width: float


@dataclass(frozen=True)
class ModelledTime:
    """What the profile says of a device's step: its time, and bars of working and waiting."""

    time: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class DeviceRow:
    """A device; times are None where the profile gives none."""

    name: str
    speed: float
    share: int
    part: float
    weight: float
    modelled: ModelledTime | None
    modelled_even: ModelledTime | None


@dataclass(frozen=True)
class MeasuredStep:
    """A timed step: its number, its length in ms, and the bars of each process."""

    step: int
    milliseconds: float
    rows: tuple[tuple[str, tuple[Bar, ...]], ...]


def device_rows(summary: Summary) -> tuple[DeviceRow, ...]:
    """A row for each device; none where the summary has not one number for each."""
    names, times = summary.device_names, summary.modelled_device_times
    even = summary.modelled_device_times_even or (math.inf,) * len(names)
    columns = names, summary.speeds, summary.shares, summary.weights, times, even
    if len({len(column) for column in columns}) > 1:
        return ()
    longest = max((t for t in (*times, *even) if math.isfinite(t)), default=0) or 1
    total = sum(summary.shares) or 1
    return tuple(
        DeviceRow(
            name,
            speed,
            share,
            share / total,
            weight,
            _modelled(time, times, longest),
            _modelled(even_time, even, longest),
        )
        for name, speed, share, weight, time, even_time in zip(*columns, strict=True)
    )


def _modelled(time: float, times: tuple[float, ...], longest: float) -> ModelledTime | None:
    if not math.isfinite(time):
        return None
    slowest = max(t for t in times if math.isfinite(t))
    work, wait = 100 * time / longest, 100 * (slowest - time) / longest
    return ModelledTime(time, (Bar("busy", 0, work), Bar("waiting", work, wait)))


def process_names(summary: Summary) -> list[str]:
    """The names of those who were timed: of the devices, where there is one process for each."""
    count = len(summary.timeline[0].began) if summary.timeline else 0
    if count == len(summary.device_names):
        return list(summary.device_names)
    return [f"process {number}" for number in range(count)]


def measured_steps(summary: Summary) -> tuple[MeasuredStep, ...]:
    """The last timed steps; none if no step was timed."""
    names = process_names(summary)
    steps = summary.timeline[-_SHOWN_STEPS:]
    if not names or not all(
        len(s.began) == len(s.worked) == len(s.ended) == len(names) for s in steps
    ):
        return ()
    return tuple(_measured(step, names) for step in steps)


def _measured(step: TimelineStep, names: list[str]) -> MeasuredStep:
    start, last = min(step.began), max(step.worked)
    length = max(step.ended) - start or 1
    rows = []
    for name, began, worked, ended in zip(names, step.began, step.worked, step.ended, strict=True):
        parts = ("busy", began, worked), ("waiting", worked, last), ("communication", last, ended)
        bars = tuple(
            Bar(kind, 100 * (left - start) / length, max(100 * (right - left) / length, 0))
            for kind, left, right in parts
        )
        rows.append((name, bars))
    return MeasuredStep(step.step, 1e3 * length, tuple(rows))


def measured_parts(summary: Summary) -> list[tuple[str, float, float, float]]:
    """Of each process the measured fractions of own work, waiting and the rest; none if untimed."""
    if not measured_steps(summary):
        return []
    parts = utilisation(summary.timeline)
    fractions = parts.busy, parts.waiting, parts.communication
    return list(zip(process_names(summary), *fractions, strict=True))
