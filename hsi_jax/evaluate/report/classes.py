"""The accuracy of each class with its interval, and the confusion matrix, for a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hsi_jax.run.summary import Outcome

CONFIDENCE = 0.95
# A cell of the confusion matrix has the shade of the first bound that its fraction does not exceed.
SHADES = (0.0, 0.02, 0.1, 0.3, 0.6, 0.9, 1.0)


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
    """A class: its name, colour, samples of each set, and accuracy (None without test samples)."""

    name: str
    colour: str
    counts: dict[str, int]
    accuracy: Accuracy | None


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: its count, its part of the row and the shade of that."""

    count: int
    fraction: float
    shade: int


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
            measure(row[index], sum(row)),
        )
        for index, (name, colour, row) in enumerate(
            zip(names, colours, summary.confusion_matrix, strict=True)
        )
    )


def floor_of(rows: Sequence[ClassRow]) -> float:
    """The tenth at or below all intervals, at which a drawing of them may begin."""
    lows = [row.accuracy.low for row in rows if row.accuracy]
    return min(math.floor(10 * min(lows, default=0.0)) / 10, 0.9)


def confusion_cells(summary: Outcome) -> list[list[Cell]]:
    """The confusion matrix; rows are the truth."""
    cells = []
    for row in summary.confusion_matrix:
        fractions = [count / max(sum(row), 1) for count in row]
        cells.append([Cell(count, f, _shade(f)) for count, f in zip(row, fractions, strict=True)])
    return cells


def _shade(fraction: float) -> int:
    return next(index for index, bound in enumerate(SHADES) if fraction <= bound)
