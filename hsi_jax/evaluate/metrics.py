"""The field's measures of a classification: OA, AA, kappa and the accuracy of each class."""

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from hsi_jax.errors import InputError


@dataclass(frozen=True)
class Scores:
    """Accuracies as fractions of 1; kappa lies in [-1, 1].

    Attributes:
        overall_accuracy: OA, the share of all samples classified right.
        average_accuracy: AA, the mean of `per_class_accuracy` over the `classes_present`.
        kappa: Cohen's kappa, the agreement beyond what the class totals give by chance.
        per_class_accuracy: for each class the share of its samples classified right (the recall,
            or producer's accuracy); nan for a class without samples in the truth.
        classes_present: number of classes with at least one sample in the truth.
    """

    overall_accuracy: float
    average_accuracy: float
    kappa: float
    per_class_accuracy: tuple[float, ...]
    classes_present: int

    def to_json(self) -> dict[str, float | int | list[float | None]]:
        """Returns the fields as a dict that strict JSON can hold: nan becomes None."""
        per_class = [None if math.isnan(value) else value for value in self.per_class_accuracy]
        return asdict(self) | {"per_class_accuracy": per_class}


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, num_classes: int) -> np.ndarray:
    """Counts the samples of each class that were taken for each class.

    Args:
        truth: integer class ids in 0..num_classes-1, any shape.
        prediction: integer class ids of the same shape.
        num_classes: C, the number of classes, whether or not all of them occur.

    Returns:
        int64 [C, C]; rows are the truth, columns the prediction.

    Raises:
        InputError: the shapes differ, there is no sample, or an id is not an integer below C.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape:
        raise InputError(
            f"truth has shape {truth.shape} but prediction {prediction.shape}; "
            "give one prediction for each sample"
        )
    if truth.size == 0:
        raise InputError("truth holds no sample; choose at least one labelled sample to evaluate")
    for name, ids in (("truth", truth), ("prediction", prediction)):
        _check_ids(name, ids, num_classes)
    # The ids may come as uint8, in which the product would wrap around. scikit-learn's function
    # would do, but it warns about a matrix of one class even when that class is named.
    cells = truth.astype(np.int64).ravel() * num_classes + prediction.astype(np.int64).ravel()
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def scores(confusion: ArrayLike) -> Scores:
    """Measures a classification by its confusion matrix.

    AA averages over the classes present in the truth only, because the accuracy of a class
    without samples is undefined. Kappa (Cohen, 1960, "A coefficient of agreement for nominal
    scales", doi:10.1177/001316446002000104) is 0/0 when truth and prediction hold one and the same
    class throughout; every sample is right then, and kappa is given as 1.

    Args:
        confusion: integer [C, C]; rows are the truth, columns the prediction.

    Returns:
        The `Scores`.

    Raises:
        InputError: the matrix is not square, not of non-negative integers, or counts no sample.
    """
    confusion = np.asarray(confusion)
    _check_confusion(confusion)
    right, rows = confusion.diagonal(), confusion.sum(axis=1)
    present = rows > 0
    per_class = np.full(len(rows), np.nan)
    per_class[present] = right[present] / rows[present]
    return Scores(
        overall_accuracy=float(right.sum() / rows.sum()),
        average_accuracy=float(per_class[present].mean()),
        kappa=_kappa(confusion),
        per_class_accuracy=tuple(per_class.tolist()),
        classes_present=int(present.sum()),
    )


def _kappa(confusion: np.ndarray) -> float:
    # Python integers: the test for 0/0 below must be exact, and total**2 may exceed an int64.
    rows, columns = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    total, right = sum(rows), int(confusion.trace())
    chance = sum(row * column for row, column in zip(rows, columns, strict=True))
    if chance == total**2:
        return 1.0
    return (total * right - chance) / (total**2 - chance)


def _check_ids(name: str, ids: np.ndarray, num_classes: int) -> None:
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{name} is of dtype {ids.dtype}; give integer class ids")
    outside = ids[(ids < 0) | (ids >= num_classes)]
    if outside.size:
        raise InputError(
            f"{name} holds the class id {outside[0]}, outside 0..{num_classes - 1}; "
            "leave out unlabelled samples and check num_classes"
        )


def _check_confusion(confusion: np.ndarray) -> None:
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise InputError(f"confusion has shape {confusion.shape}; give a square matrix of counts")
    if not np.issubdtype(confusion.dtype, np.integer) or (confusion < 0).any():
        raise InputError("confusion holds values that are no counts; give non-negative integers")
    if confusion.sum() == 0:
        raise InputError("confusion counts no sample; evaluate at least one labelled sample")
