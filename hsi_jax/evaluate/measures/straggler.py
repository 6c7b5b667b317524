"""Which device makes the others wait, and in which phase, by what was measured while training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from hsi_jax.run.summary_devices import Straggler, TimedStep, TimelineStep

NOTABLE = 0.1  # relative to the others' time; less is noise
COMPUTING = "computing"
OWN = ("reading", COMPUTING, "update")  # phases in which a device does not depend on the others


@dataclass(frozen=True)
class _Delay:
    """How long the others waited for a device in a timed step, s; and in each phase of its own."""

    step: int
    device: int | None = None
    seconds: float = 0.0
    by_phase: tuple[float, ...] = ()


def find_straggler(
    records: Sequence[TimedStep],
    first_shares: Sequence[int],
    names: Sequence[str],
    timeline: Sequence[TimelineStep] = (),
) -> Straggler | None:
    """The device for which the others have waited longest, in all timed steps together.

    In a timed step they wait for the device that takes longest to read, compute and update, from
    when half of them have done so. All of that is measured outside the sum, in which the wait for a
    slow device would look like a slow sum. It counts where it is more than `NOTABLE` of their time.
    Devices without work do not wait.

    Args:
        records: the timed steps, in their order.
        first_shares: microbatches of each device in the first of them, [devices].
        names: of the devices, [devices].
        timeline: where the time of each device went; in steps that are not among them, computing
            alone is known.

    Returns:
        The device, or None where none made the others wait.
    """
    shares = [first_shares, *(record.shares for record in records)]
    phases = {step.step: step.phases for step in timeline}
    delays = [
        _delay(record, own, phases.get(record.step, {}))
        for record, own in zip(records, shares, strict=False)
    ]
    totals = np.zeros(len(names))
    for delay in delays:
        if delay.device is not None:
            totals[delay.device] += delay.seconds
    if not totals.any():
        return None
    worst = int(totals.argmax())
    since, until = _longest_wait(delays, worst)
    by_phase = np.sum([delay.by_phase for delay in delays if delay.device == worst], axis=0)
    return Straggler(
        device=worst,
        name=names[worst],
        waited_seconds=float(totals[worst]),
        timed_steps=len(records),
        slow_steps=sum(delay.device == worst for delay in delays),
        since_step=since,
        until_step=until,
        phase=OWN[by_phase.argmax()],
        phase_seconds=float(by_phase.max()),
    )


def _longest_wait(delays: Sequence[_Delay], worst: int) -> tuple[int, int]:
    """The first and the last of the timed steps in a row in which they waited for it longest."""
    rows = []
    for is_worst, row in groupby(delays, lambda delay: delay.device == worst):
        if is_worst:
            steps = list(row)
            rows.append((sum(d.seconds for d in steps), steps[0].step, steps[-1].step))
    _, since, until = max(rows)
    return since, until


def _delay(record: TimedStep, shares: Sequence[int], phases: dict[str, list[float]]) -> _Delay:
    """The last device of a timed step, if the others waited for it."""
    working = [device for device, share in enumerate(shares) if share > 0]
    if len(working) < 2:
        return _Delay(record.step)
    count = len(record.device_seconds)
    own = {COMPUTING: record.device_seconds}
    own |= {name: s for name, s in phases.items() if name != COMPUTING and len(s) == count}
    seconds = np.array([own.get(phase, np.zeros(count)) for phase in OWN])
    total = seconds.sum(axis=0)
    last = max(working, key=lambda device: total[device])
    others = [device for device in working if device != last]
    usual = float(np.median(total[others]))
    delay = float(total[last]) - usual
    if delay <= NOTABLE * usual:
        return _Delay(record.step)
    by_phase = seconds[:, last] - np.median(seconds[:, others], axis=1)
    return _Delay(record.step, last, delay, tuple(by_phase.tolist()))
