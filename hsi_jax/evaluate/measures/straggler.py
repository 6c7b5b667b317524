"""Which device makes the others wait, by the times that were measured while training."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from hsi_jax.run.summary_parts import Straggler, TimedStep

NOTABLE = 0.1  # relative to the others' time; less is noise


def find_straggler(
    records: Sequence[TimedStep], first_shares: Sequence[int], names: Sequence[str]
) -> Straggler | None:
    """The device for which the others have waited longest, in all timed steps together.

    In a timed step they wait for the last device, from when half of them have done their work. It
    counts where that is more than `NOTABLE` of their time. Devices without work do not wait.

    Args:
        records: the timed steps, in their order.
        first_shares: microbatches of each device in the first of them, [devices].
        names: of the devices, [devices].

    Returns:
        The device, or None where none made the others wait.
    """
    shares = [first_shares, *(record.shares for record in records)]
    delays = [_delay(r, own) for r, own in zip(records, shares, strict=False)]
    totals = np.zeros(len(names))
    for device, seconds in delays:
        if device is not None:
            totals[device] += seconds
    if not totals.any():
        return None
    worst = int(totals.argmax())
    since, until = _longest_wait(records, delays, worst)
    return Straggler(
        device=worst,
        name=names[worst],
        waited_seconds=float(totals[worst]),
        timed_steps=len(records),
        slow_steps=sum(device == worst for device, _ in delays),
        since_step=since,
        until_step=until,
    )


def _longest_wait(
    records: Sequence[TimedStep], delays: Sequence[tuple[int | None, float]], worst: int
) -> tuple[int, int]:
    """The first and the last of the timed steps in a row in which they waited for it longest."""
    rows = []
    for is_worst, row in groupby(zip(records, delays, strict=True), lambda e: e[1][0] == worst):
        if is_worst:
            steps = list(row)
            waited = sum(delay for _, (_, delay) in steps)
            rows.append((waited, steps[0][0].step, steps[-1][0].step))
    _, since, until = max(rows)
    return since, until


def _delay(record: TimedStep, shares: Sequence[int]) -> tuple[int | None, float]:
    """The last device of a timed step, if the others waited for it, and how long they did, s."""
    working = [device for device, share in enumerate(shares) if share > 0]
    if len(working) < 2:
        return None, 0.0
    last = max(working, key=lambda device: record.device_seconds[device])
    others = [record.device_seconds[device] for device in working if device != last]
    usual = float(np.median(others))
    delay = record.device_seconds[last] - usual
    return (last, delay) if delay > NOTABLE * usual else (None, 0.0)
