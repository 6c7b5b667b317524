"""Measures of a classification: OA, AA, kappa, and accuracies, F1 and IoU of each class."""

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from hsi_jax.errors import InputError


@dataclass(frozen=True)
class Scores:
    """Accuracies as fractions of 1; kappa lies in [-1, 1].

    Attributes:
        overall_accuracy: OA, the fraction of all samples that are classified correctly.
        average_accuracy: AA, the mean of `per_class_accuracy` over the classes that are present.
        kappa: Cohen's kappa, the agreement beyond that by chance.
        per_class_accuracy: for each class, the fraction of its samples that are classified
            correctly (recall, or producer's accuracy); nan for a class without samples in the
            truth.
        classes_present: number of classes with at least one sample in the truth.
    """

    overall_accuracy: float
    average_accuracy: float
    kappa: float
    per_class_accuracy: tuple[float, ...]
    classes_present: int

    def to_json(self) -> dict[str, float | int | list[float | None]]:
        """The fields as a dictionary that strict JSON can hold: nan becomes None."""
        per_class = [None if math.isnan(value) else value for value in self.per_class_accuracy]
        return asdict(self) | {"per_class_accuracy": per_class}


@dataclass(frozen=True)
class ClassScores:
    """Measures of each class, [C], fractions of 1; nan where a class has no sample to measure.

    Attributes:
        producers_accuracy: the fraction of a class's true samples that are found (recall).
        users_accuracy: the fraction of the samples predicted as the class that are (precision).
        f1: the harmonic mean of the two, by counts: 2 correct / (true + predicted).
        iou: intersection over union, or Jaccard index: correct / (true + predicted - correct).
    """

    producers_accuracy: tuple[float, ...]
    users_accuracy: tuple[float, ...]
    f1: tuple[float, ...]
    iou: tuple[float, ...]

    def to_json(self) -> dict[str, list[float | None]]:
        """The fields as "per_class_...", as strict JSON can hold them: nan becomes None."""
        return {
            f"per_class_{name}": [None if math.isnan(value) else value for value in values]
            for name, values in asdict(self).items()
        }


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, num_classes: int) -> np.ndarray:
    """Counts the samples of each pair of true class and predicted class.

    Args:
        truth: class indexes, integers in 0..C-1, of any shape.
        prediction: class indexes of the same shape.
        num_classes: C, the number of classes; some may have no sample.

    Returns:
        int64 [C, C]; rows are the truth, columns the prediction.

    Raises:
        InputError: if the shapes differ, there is no sample, or an index is not an integer in
            0..C-1.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape:
        raise InputError(
            f"`truth` has shape {truth.shape} but `prediction` {prediction.shape}; "
            f"give one prediction for each sample"
        )
    if truth.size == 0:
        raise InputError("`truth` holds no sample; evaluate at least one labelled sample")
    for name, indexes in (("truth", truth), ("prediction", prediction)):
        _check_indexes(name, indexes, num_classes)
    # The product of small integer types, such as uint8, would overflow. scikit-learn has this
    # function too, but it warns about a matrix of one class even if that class is named.
    cells = truth.astype(np.int64).ravel() * num_classes + prediction.astype(np.int64).ravel()
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def scores(confusion: ArrayLike) -> Scores:
    """Measures a classification by its confusion matrix.

    AA is the mean over the classes that are present in the truth, because the accuracy of a class
    without samples is undefined. Kappa (Cohen, 1960, "A coefficient of agreement for nominal
    scales", doi:10.1177/001316446002000104) is 0/0 if truth and prediction hold only one class,
    the same in both; every sample is correct then, and kappa is 1.

    Args:
        confusion: integer [C, C]; rows are the truth, columns the prediction.

    Raises:
        InputError: if the matrix is not square, holds a value that is not an integer of at least
            0, or counts no sample.
    """
    confusion = np.asarray(confusion)
    _check_confusion(confusion)
    correct, rows = confusion.diagonal(), confusion.sum(axis=1)
    present = rows > 0
    per_class = np.full(len(rows), np.nan)
    per_class[present] = correct[present] / rows[present]
    return Scores(
        overall_accuracy=float(correct.sum() / rows.sum()),
        average_accuracy=float(per_class[present].mean()),
        kappa=_kappa(confusion),
        per_class_accuracy=tuple(per_class.tolist()),
        classes_present=int(present.sum()),
    )


def class_scores(confusion: ArrayLike) -> ClassScores:
    """Measures each class by the confusion matrix.

    Producer's and user's accuracy are those of Story and Congalton, "Accuracy assessment: a user's
    perspective", Photogrammetric Engineering and Remote Sensing 52(3), 1986.

    Args:
        confusion: integer [C, C]; rows are the truth, columns the prediction.

    Raises:
        InputError: as `scores`.
    """
    confusion = np.asarray(confusion)
    _check_confusion(confusion)
    correct, true, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)

    def divide(part: np.ndarray, whole: np.ndarray) -> tuple[float, ...]:
        undefined = np.full(len(whole), np.nan)
        return tuple(np.divide(part, whole, out=undefined, where=whole > 0).tolist())

    return ClassScores(
        producers_accuracy=divide(correct, true),
        users_accuracy=divide(correct, predicted),
        f1=divide(2 * correct, true + predicted),
        iou=divide(correct, true + predicted - correct),
    )


def _kappa(confusion: np.ndarray) -> float:
    # In Python's integers, because the test for 0/0 must be exact and total**2 may exceed an int64.
    rows, columns = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    total, correct = sum(rows), int(confusion.trace())
    chance = sum(row * column for row, column in zip(rows, columns, strict=True))
    if chance == total**2:
        return 1.0
    return (total * correct - chance) / (total**2 - chance)


def _check_indexes(name: str, indexes: np.ndarray, num_classes: int) -> None:
    if not np.issubdtype(indexes.dtype, np.integer):
        raise InputError(f"`{name}` is of dtype {indexes.dtype}; give integer class indexes")
    outside = indexes[(indexes < 0) | (indexes >= num_classes)]
    if outside.size:
        raise InputError(
            f"`{name}` holds the class index {outside[0]}, outside 0..{num_classes - 1}; "
            f"leave out unlabelled samples and check `num_classes`"
        )


def _check_confusion(confusion: np.ndarray) -> None:
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise InputError(f"`confusion` has shape {confusion.shape}; give a square matrix of counts")
    if not np.issubdtype(confusion.dtype, np.integer) or (confusion < 0).any():
        raise InputError("`confusion` holds values that are no counts; give integers of at least 0")
    if confusion.sum() == 0:
        raise InputError("`confusion` counts no sample; evaluate at least one labelled sample")
