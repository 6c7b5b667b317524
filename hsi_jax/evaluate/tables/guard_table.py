"""Accuracy against the distance between training and test pixels: table and picture."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hsi_jax.evaluate.tables.model_table import ModelResult
from hsi_jax.evaluate.tables.scheme_table import MISSING, markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class GuardPoint(NamedTuple):
    """A model's runs at one distance.

    Attributes:
        model: what it is called.
        guard: distance in pixels that every training pixel exceeds.
        accuracy: OA of each seed, a fraction of 1.
        change: OA less that of the smallest guard, of each seed that has both.
        leakage: mean fraction of test pixels with a training pixel in their patch.
        patch_size: side of the patch, in pixels.
    """

    model: str
    guard: int
    accuracy: dict[int, float]
    change: dict[int, float]
    leakage: float
    patch_size: int


def guard_points(results: Mapping[int, Sequence[ModelResult]]) -> list[GuardPoint]:
    """The points of each model, in the order of its guards; those without a result are left out.

    Args:
        results: of each guard.
    """
    models = dict.fromkeys(result.model for own in results.values() for result in own)
    points = []
    for model in models:
        first: dict[int, float] = {}
        for guard in sorted(results):
            good = [r for r in results[guard] if r.model == model and not r.problem]
            accuracy = {r.seed: r.overall_accuracy for r in good if r.overall_accuracy is not None}
            if guard == min(results):
                first = accuracy
            if not good:
                continue
            change = {s: value - first[s] for s, value in accuracy.items() if s in first}
            leakage = statistics.fmean(r.leakage or 0.0 for r in good)
            size = good[0].patch_size or 1
            points.append(GuardPoint(model, guard, accuracy, change, leakage, size))
    return points


def markdown_of_points(points: Sequence[GuardPoint]) -> str:
    """A row for each model and guard: mean ± sample standard deviation over seeds."""
    header = ["model", "guard (pixels)", "n", "OA (%)", "change (points)"]
    header.append("test pixels with a training pixel in their patch (%)")
    rows = [
        [
            f"{point.model}, {point.patch_size} x {point.patch_size}",
            str(point.guard),
            str(len(point.accuracy)),
            _spread(point.accuracy.values()),
            _spread(point.change.values(), "+"),
            f"{100 * point.leakage:.1f}",
        ]
        for point in points
    ]
    return markdown([header, *rows])


def _spread(fractions, sign: str = "") -> str:
    values = [100 * value for value in fractions]
    if not values:
        return MISSING
    mean = f"{statistics.fmean(values):{sign}.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def csv_of_points(points: Sequence[GuardPoint]) -> str:
    """CSV with a row for each model, guard and seed; accuracies are fractions of 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "patch_size", "guard", "seed", "oa", "change", "mean_leakage"])
    for point in points:
        for seed, accuracy in point.accuracy.items():
            own = [point.model, point.patch_size, point.guard, seed, accuracy]
            writer.writerow([*own, point.change.get(seed), point.leakage])
    return text.getvalue()


def draw_guards(points: Sequence[GuardPoint], title: str) -> "Figure":
    """Draws OA against the guard, a line for each model, with the deviation over seeds.

    Two panels: the OA with its standard deviation over seeds, and its change from the smallest
    guard, seed by seed, whose deviation is smaller because a seed keeps its test pixels. A ring
    marks the points whose patches hold no training pixel.

    Args:
        points: of all models.
        title: above both panels.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    from hsi_jax.evaluate.figures.style import PAGE, SMALL, TEXT

    figure = Figure(figsize=(PAGE, 3.0), layout="constrained")
    panels = figure.subplots(1, 2)
    for number, model in enumerate(dict.fromkeys(point.model for point in points)):
        own = [point for point in points if point.model == model]
        label = f"{model}, {own[0].patch_size} x {own[0].patch_size}"
        for axes, values in (
            (panels[0], [point.accuracy for point in own]),
            (panels[1], [point.change for point in own]),
        ):
            known = [(p, list(v.values())) for p, v in zip(own, values, strict=True) if v]
            guards = [point.guard + 0.06 * number for point, _ in known]
            means = [100 * statistics.fmean(v) for _, v in known]
            spreads = [100 * statistics.stdev(v) if len(v) > 1 else 0.0 for _, v in known]
            colour = _COLOURS[number % len(_COLOURS)]
            axes.errorbar(
                guards, means, spreads, marker=".", capsize=2, color=colour, label=label, lw=1.2
            )
            free = [
                (x, y)
                for (point, _), x, y in zip(known, guards, means, strict=True)
                if not point.leakage
            ]
            if free:
                axes.plot(*zip(*free, strict=True), "o", mfc="none", color=colour, markersize=7)
    panels[0].set_ylabel("OA on test pixels (%)", fontsize=TEXT)
    panels[1].set_ylabel("change of OA (points)", fontsize=TEXT)
    for axes in panels:
        axes.set_xlabel("guard: every training pixel is farther (pixels)", fontsize=TEXT)
        axes.set_xticks(sorted({point.guard for point in points}))
        axes.tick_params(labelsize=SMALL)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    panels[0].legend(fontsize=SMALL)
    how = "bars: standard deviation over seeds; rings: no patch holds a training pixel"
    figure.suptitle(f"{title}\n{how}", fontsize=TEXT)
    return figure


# Colours that people with any kind of sight tell apart (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
