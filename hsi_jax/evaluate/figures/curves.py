"""Learning curves from the records of a run."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.style import (
    BLUE,
    COLUMN,
    GREEN,
    PAGE,
    RED,
    set_legend_below,
    style_axes,
)
from hsi_jax.run.records import Evaluation, Reconstruction, Record, Step

# OA is drawn larger: with classes of one size, AA lies on it.
_MEASURES = (
    ("overall_accuracy", "OA", BLUE, 1.8),
    ("average_accuracy", "AA", RED, 1),
    ("kappa", "kappa", GREEN, 1),
)
_TRAINING, _VALIDATION, _TEST = BLUE, RED, "#1a1a1a"
_NOT_FINITE = "#d7191c"
_MAX_MARKED = 50  # a line of more points has no mark at each of them

_Row = TypeVar("_Row", Step, Evaluation, Reconstruction)


def draw_curves(records: Sequence[Record], best_step: int | None = None) -> Figure:
    """Draws the loss and, if there were evaluations, OA, AA and kappa over the steps.

    With 150 steps or more, a running mean over a fiftieth of them (at most 1,000) is added to the
    loss. The axis of the loss is logarithmic if all losses are positive and the largest is more
    than 100 times the smallest. A training loss that was not finite is marked on the lower edge.
    Where several records are of the same step, as after a resumed run, the last one counts.

    Args:
        records: of the run. Only the test of the chosen step, or else the last one, is drawn.
        best_step: the step whose parameters were chosen, marked in every panel.

    Returns:
        The figure.

    Raises:
        InputError: if there is no record of a step or an evaluation.
    """
    training = _by_step(record for record in records if isinstance(record, Step))
    evaluations = [record for record in records if isinstance(record, Evaluation)]
    validation = _by_step(record for record in evaluations if record.set == "validation")
    test = _by_step(record for record in evaluations if record.set == "test")
    test = [record for record in test if record.step == best_step] or test[-1:]
    errors = _by_step(record for record in records if isinstance(record, Reconstruction))
    if not (training or validation or test or errors):
        raise InputError(
            "`records` holds no step and no evaluation; give the records of a run that has trained"
        )
    panels = 2 if validation or test else 1
    figure = Figure(figsize=(PAGE if panels == 2 else COLUMN, 3.1), layout="constrained")
    columns = figure.subplots(1, panels, sharex=True, squeeze=False)[0]
    _draw_loss(columns[0], training, validation, test)
    _draw_errors(columns[0], errors)
    if panels == 2:
        _draw_measures(columns[1], validation, test)
    for axes in columns:
        if best_step is not None:
            # Named in one legend only: a seventh entry would break up the pairs of the other.
            name = f"chosen step {best_step:,}" if axes is columns[0] else None
            axes.axvline(best_step, color="0.4", linestyle="--", linewidth=1, label=name)
        _finish(axes)
    return figure


def _draw_loss(
    axes: Axes, training: list[Step], validation: list[Evaluation], test: list[Evaluation]
) -> None:
    losses = np.concatenate([_column(rows, "loss") for rows in (training, validation, test)])
    losses = losses[np.isfinite(losses)]
    logarithmic = losses.size > 0 and 0 < 100 * losses.min() < losses.max()
    axes.set_yscale("log" if logarithmic else "linear")
    axes.set_ylabel("loss (logarithmic)" if logarithmic else "loss")
    if training:
        _draw_training(axes, _column(training, "step"), _column(training, "loss"))
    if validation:
        _draw_line(axes, validation, "loss", colour=_VALIDATION, label="validation loss")
    if test:
        _draw_star(axes, test, "loss", colour=_TEST, label="test loss")


def _draw_errors(axes: Axes, errors: list[Reconstruction]) -> None:
    """The errors of a masked autoencoder, whose loss is such an error too."""
    if not errors:
        return
    steps = _column(errors, "step")
    name = "held-out pixels" if errors[-1].set == "validation" else "learnt pixels"
    mark = "." if len(errors) <= _MAX_MARKED else ""
    axes.plot(steps, _column(errors, "error"), color=_VALIDATION, marker=mark, label=name)
    of_mean = _column(errors, "error_of_mean")
    axes.plot(steps, of_mean, color="0.5", linestyle=":", label="the mean alone")


def _draw_training(axes: Axes, steps: np.ndarray, loss: np.ndarray) -> None:
    finite = np.isfinite(loss)
    shown = np.where(finite, loss, np.nan)
    window = min(len(loss) // 50, 1000)
    smooth = window >= 3
    axes.plot(
        steps,
        shown,
        color=_TRAINING,
        alpha=0.3 if smooth else 1,
        linewidth=0.7 if smooth else 1.2,
        marker="." if len(loss) <= _MAX_MARKED else "",
        label="training loss",
    )
    if smooth:
        mean = _running_mean(shown, window)
        axes.plot(steps, mean, color=_TRAINING, label=f"mean of {window:,} values")
    if not finite.all():
        missing = steps[~finite]
        axes.plot(
            missing,
            np.zeros(len(missing)),
            "x",
            color=_NOT_FINITE,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            label=f"not finite: {len(missing):,}",
        )


def _draw_measures(axes: Axes, validation: list[Evaluation], test: list[Evaluation]) -> None:
    for key, name, colour, size in _MEASURES:
        if validation:
            _draw_line(axes, validation, key, colour=colour, label=f"validation {name}", size=size)
        if test:
            label = f"test {name} {_column(test, key)[0]:.4f}"
            _draw_star(axes, test, key, colour=colour, label=label, size=size)
    axes.set_ylabel("OA, AA, kappa")


def _draw_line(
    axes: Axes, rows: list[Evaluation], key: str, *, colour: str, label: str, size: float = 1
) -> None:
    axes.plot(
        _column(rows, "step"),
        _column(rows, key),
        color=colour,
        linewidth=1.5 * size,
        marker="." if len(rows) <= _MAX_MARKED else "",
        markersize=6 * size,
        label=label,
    )


def _draw_star(
    axes: Axes, rows: list[Evaluation], key: str, *, colour: str, label: str, size: float = 1
) -> None:
    axes.plot(
        _column(rows, "step"),
        _column(rows, key),
        "*",
        color=colour,
        markersize=9 * size,
        markeredgecolor="white",
        zorder=3,
        label=label,
    )


def _finish(axes: Axes) -> None:
    style_axes(axes, x_label="step", y_label=axes.get_ylabel())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    set_legend_below(axes)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of the finite ones of the `window` values around each place; nan if none is."""
    finite, ones = np.isfinite(values), np.ones(window)
    # Not by cumulative sums: one huge loss would take the digits of all losses after it.
    sums = np.convolve(np.where(finite, values, 0), ones, mode="same")
    counts = np.convolve(finite, ones, mode="same")
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def _by_step(rows: Iterable[_Row]) -> list[_Row]:
    """The rows in the order of their steps; of several rows of a step, the last one."""
    latest = {row.step: row for row in rows}
    return [latest[step] for step in sorted(latest)]


def _column(
    rows: Sequence[Step] | Sequence[Evaluation] | Sequence[Reconstruction], key: str
) -> np.ndarray:
    """The values of a field, float64 [rows]; None is nan."""
    return np.array([getattr(row, key) for row in rows], dtype=np.float64)
