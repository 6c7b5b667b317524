"""Tables of accuracy against the distance between training and test pixels."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hsi_jax.evaluate.tables.formats import MISSING, csv_text, markdown
from hsi_jax.evaluate.tables.model_table import ModelResult


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
    rows: list[list[object]] = [
        ["model", "patch_size", "guard", "seed", "oa", "change", "mean_leakage"]
    ]
    for point in points:
        for seed, accuracy in point.accuracy.items():
            own = [point.model, point.patch_size, point.guard, seed, accuracy]
            rows.append([*own, point.change.get(seed), point.leakage])
    return csv_text(rows)
