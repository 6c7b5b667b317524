"""The accuracies of each class, with the interval of the producer's accuracy, for a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.evaluate.measures.metrics import class_scores
from hsi_jax.run.summary import Outcome

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Accuracy:
    """A fraction of correct samples with its Wilson interval of 95 %, all fractions of 1."""

    correct: int
    total: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassRow:
    """A class: its name, colour, samples of each set, and measures, fractions of 1.

    The producer's accuracy, `accuracy`, is None without test samples; the others are None where
    they are undefined.
    """

    name: str
    colour: str
    counts: dict[str, int]
    accuracy: Accuracy | None
    users_accuracy: float | None
    f1: float | None
    iou: float | None


def measure(correct: int, total: int) -> Accuracy | None:
    """An accuracy with its interval; None without samples."""
    from scipy.stats import binomtest

    if not total:
        return None
    interval = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    low, high = float(interval.low), float(interval.high)
    return Accuracy(correct, total, correct / total, low, high)


def overall(summary: Outcome) -> Accuracy | None:
    """The overall accuracy of a run."""
    matrix = summary.confusion_matrix
    return measure(sum(row[i] for i, row in enumerate(matrix)), sum(map(sum, matrix)))


def class_rows(
    summary: Outcome, names: Sequence[str], colours: Sequence[str]
) -> tuple[ClassRow, ...]:
    """A row for each class."""
    matrix = summary.confusion_matrix
    measured = class_scores(np.array(matrix)).to_json() if np.any(matrix) else {}
    columns = [measured.get(f"per_class_{name}") for name in ("users_accuracy", "f1", "iou")]
    per_class = {
        name: counts
        for name, counts in summary.split.counts_per_class.items()
        if len(counts) == len(names)
    }
    return tuple(
        ClassRow(
            name,
            colour,
            {kind: counts[index] for kind, counts in per_class.items()},
            measure(matrix[index][index], sum(matrix[index])),
            *(column[index] if column else None for column in columns),
        )
        for index, (name, colour) in enumerate(zip(names, colours, strict=True))
    )


def floor_of(rows: Sequence[ClassRow]) -> float:
    """The tenth at or below all intervals, at which a drawing of them may begin."""
    lows = [row.accuracy.low for row in rows if row.accuracy]
    return min(math.floor(10 * min(lows, default=0.0)) / 10, 0.9)
