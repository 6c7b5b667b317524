"""Learning curves from the records of `metrics.jsonl`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hsi_jax.errors import InputError

Record = dict[str, Any]

_MEASURES = (
    ("overall_accuracy", "OA", "#0072b2"),
    ("average_accuracy", "AA", "#d55e00"),
    ("kappa", "kappa", "#009e73"),
)
_TRAINING, _VALIDATION, _TEST = "#0072b2", "#d55e00", "#1a1a1a"
_NOT_FINITE = "#d7191c"
_MOST_DOTS = 50  # points of a line that are still marked one by one


def draw_curves(records: Sequence[Record], best_step: int | None = None) -> Figure:
    """Draws the loss and, if there were evaluations, OA, AA and kappa over the steps.

    From 150 training records on, a running mean over a fiftieth of them (at most 1,000) joins the
    loss. The axis of the loss is logarithmic where positive losses span more than a factor of 100.
    Training losses that are not finite are marked on the lower edge. Where several records tell of
    the same step, as after a resumed run, the last one counts.

    Args:
        records: of training, with the keys `kind` ("step"), `step` and `loss`; of evaluation,
            with `kind` ("evaluation"), `set` ("validation" or "test"), `step`, `loss`,
            `overall_accuracy`, `average_accuracy` and `kappa` (fractions of 1). Other kinds and
            keys are ignored. Of the test, only the last record is drawn, at its own step.
        best_step: the step whose parameters were chosen, marked in every panel.

    Returns:
        The figure.

    Raises:
        InputError: there is no record of training or evaluation, or one lacks a key.
    """
    training = _select(records, kind="step")
    validation = _select(records, kind="evaluation", set="validation")
    test = _select(records, kind="evaluation", set="test")[-1:]
    if not (training or validation or test):
        raise InputError(
            'records holds neither the kind "step" nor "evaluation"; '
            "give the records of a run that has trained"
        )
    panels = 2 if validation or test else 1
    figure = Figure(figsize=(6.5 * panels, 4.5), layout="constrained")
    columns = figure.subplots(1, panels, sharex=True, squeeze=False)[0]
    _draw_loss(columns[0], training, validation, test)
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
    axes: Axes, training: list[Record], validation: list[Record], test: list[Record]
) -> None:
    losses = np.concatenate([_column(rows, "loss") for rows in (training, validation, test)])
    losses = losses[np.isfinite(losses)]
    logarithmic = losses.size > 0 and 0 < 100 * losses.min() < losses.max()
    axes.set_yscale("log" if logarithmic else "linear")
    axes.set_ylabel("loss (logarithmic)" if logarithmic else "loss")
    if training:
        _draw_training(axes, _column(training, "step"), _column(training, "loss"))
    if validation:
        _draw_line(axes, validation, "loss", _VALIDATION, "validation loss")
    if test:
        _draw_star(axes, test, "loss", _TEST, "test loss")


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
        linewidth=0.8 if smooth else 1.5,
        marker="." if len(loss) <= _MOST_DOTS else "",
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


def _draw_measures(axes: Axes, validation: list[Record], test: list[Record]) -> None:
    for key, name, colour in _MEASURES:
        if validation:
            _draw_line(axes, validation, key, colour, f"validation {name}")
        if test:
            value = _column(test, key)[0]
            _draw_star(axes, test, key, colour, f"test {name} {value:.4f}")
    axes.set_ylabel("OA, AA, kappa")


def _draw_line(axes: Axes, rows: list[Record], key: str, colour: str, label: str) -> None:
    marker = "." if len(rows) <= _MOST_DOTS else ""
    axes.plot(_column(rows, "step"), _column(rows, key), color=colour, marker=marker, label=label)


def _draw_star(axes: Axes, rows: list[Record], key: str, colour: str, label: str) -> None:
    axes.plot(
        _column(rows, "step"),
        _column(rows, key),
        "*",
        color=colour,
        markersize=12,
        markeredgecolor="white",
        zorder=3,
        label=label,
    )


def _finish(axes: Axes) -> None:
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(color="0.92")
    # Below the panel, where it hides no curve.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=9, frameon=False)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Returns at each place the mean of the finite of the `window` values around it, else nan."""
    finite, ones = np.isfinite(values), np.ones(window)
    # No cumulative sums: one exploded loss would swallow the digits of all that follow.
    sums = np.convolve(np.where(finite, values, 0), ones, mode="same")
    counts = np.convolve(finite, ones, mode="same")
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def _select(records: Sequence[Record], **wanted: str) -> list[Record]:
    """Returns the records with the `wanted` fields by rising step, the last written of each."""
    chosen = [r for r in records if all(r.get(key) == value for key, value in wanted.items())]
    latest = dict(zip(_column(chosen, "step").tolist(), chosen, strict=True))
    return [latest[step] for step in sorted(latest)]


def _column(records: list[Record], key: str) -> np.ndarray:
    """Returns the float64 values of `key`; None, as JSON may hold for nan, becomes nan."""
    for record in records:
        if key not in record:
            raise InputError(f"records has {record}, which lacks {key!r}; give whole records")
    return np.array([record[key] for record in records], dtype=np.float64)
