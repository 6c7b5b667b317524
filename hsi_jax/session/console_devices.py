"""The lines that a run prints about its devices, and how a long text is printed."""

import textwrap
from collections.abc import Sequence

from hsi_jax.command_line import with_flags
from hsi_jax.run.summary import RunFacts
from hsi_jax.run.summary_devices import LostProcess, MeasuredStep, Straggler

WIDTH = 98  # of a line
HARD_SPACE = "\N{NO-BREAK SPACE}"  # at which no line ends


def entry(name: str, text: str) -> list[str]:
    """A text in lines that begin under its name."""
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{name:<9}",
        subsequent_indent=" " * 9,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(HARD_SPACE, " ") for line in lines]


def describe_measured(summary: RunFacts) -> list[str]:
    """Lines on where the time of a step of real devices went, and what even shares took."""
    lines = []
    if step := summary.measured_step:
        own, waiting = (
            ", ".join(f"{name} {time:.1f}" for name, time in zip(step.names, times, strict=True))
            for times in (step.own_work_ms, step.waiting_ms)
        )
        lines += [
            f"Of a timed step of {step.step_ms:.1f} ms (medians of {step.timed_steps}), in ms:",
            *entry("", f"own work {own}; waiting {waiting}"),
            *entry("", f"sum and update {step.sum_and_update_ms:.1f}"),
            *_describe_phases(step),
        ]
    elif summary.on_real_devices and summary.timed_steps:
        lines.append(with_flags("`time_devices` times own work, waiting, sum and update as well"))
    if even := summary.measured_even:
        gain = f"{even.speedup:.2f} times as fast" if even.speedup else "the shares were the same"
        lines.append(
            f"Measured before training, {even.repeats} steps each: {even.even_ms:.1f} ms by even "
            f"shares, {even.own_ms:.1f} ms by {summary.scheme} ones; {gain}"
        )
    return lines


def _describe_phases(step: MeasuredStep) -> list[str]:
    """A line on the phases that not every run needs: reading, and sum and update told apart."""
    told = [
        f"{phase} {', '.join(f'{time:.1f}' for time in step.phases_ms[phase])}"
        for phase in ("reading", "sum", "update")
        if phase in step.phases_ms
    ]
    return entry("", f"of each: {'; '.join(told)}") if told else []


def describe_straggler(straggler: Straggler | None) -> list[str]:
    """A line on the device for which the others waited, if any."""
    if straggler is None:
        return []
    since, until = straggler.since_step, straggler.until_step
    when = f"from step {since} to {until}" if since < until else f"at step {since}"
    return [
        f"The others waited for {straggler.name}: {straggler.waited_seconds:.2f} s in "
        f"{straggler.slow_steps} of {straggler.timed_steps} timed steps, longest {when}; it lost "
        f"most in {straggler.phase}"
        + (f" ({straggler.phase_seconds:.2f} s)" if straggler.phase_seconds else "")
    ]


def describe_losses(losses: Sequence[LostProcess]) -> list[str]:
    """A line for each process that was lost."""
    return [
        f"Lost process {loss.process} "
        + (
            "after the last step"
            if loss.seconds is None
            else f"in step {loss.step}, which ended {loss.seconds:.2f} s after that was noticed"
        )
        for loss in losses
    ]
