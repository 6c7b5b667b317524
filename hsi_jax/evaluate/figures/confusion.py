"""A picture of the confusion matrix."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.lettering import captions, lettered
from hsi_jax.evaluate.figures.style import PAGE, SMALL, TEXT, TINY
from hsi_jax.evaluate.measures.metrics import class_scores, scores

_DIGIT, _LETTER = 0.0089, 0.0078  # width of a character of 1 point, inches
_NAMES_AND_BAR = 1.2  # inches beside the matrix, for accuracies and labels, without class names
_ABOVE = 1.4  # inches above the matrix, for user's accuracy, F1 and IoU


@lettered
def draw_confusion(confusion: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix with the accuracies, F1 and IoU of each class.

    A colour shows the fraction of a row, which is the fraction of the samples of a class, so that
    small classes are as visible as large ones. Counts other than 0 are written into the cells if
    the widest one fits. The producer's accuracy stands at the end of a class's row; its user's
    accuracy, F1 and IoU stand above its column. A class without samples in the truth is a grey
    row, and its producer's accuracy is "absent".

    Args:
        confusion: int [C, C]; rows are the truth, columns the prediction.
        class_names: the C names.

    Returns:
        The figure.

    Raises:
        InputError: if `confusion` is not a matrix of counts, or the number of names is not C.
    """
    confusion = np.asarray(confusion)
    scores(confusion)  # checks it
    if len(class_names) != len(confusion):
        raise InputError(
            f"`class_names` has {len(class_names)} names for {len(confusion)} classes; give one "
            f"for each"
        )
    class_names = captions(class_names)
    digits = len(str(confusion.max())) + 0.25  # and a gap
    longest = max(len(name) for name in class_names)
    cell, text = _choose_cell(len(confusion), digits, longest)
    side, names = cell * len(confusion), _LETTER * text * longest
    size = (side + names + _NAMES_AND_BAR, side + names + 1.8 + _ABOVE)
    figure = Figure(figsize=size, layout="compressed")
    axes = figure.subplots()
    fractions = _draw_fractions(axes, confusion)
    _label(axes, class_names, confusion, text)
    sizes = [size for size in (TEXT, SMALL, TINY) if digits * _DIGIT * size <= cell]
    if sizes:
        _write_counts(axes, confusion, fractions, sizes[0])
    return figure


def _choose_cell(classes: int, digits: float, longest: int) -> tuple[float, int]:
    """Side of a cell, inches, and size of the names, points, so that all is as wide as a page."""
    wanted = max(digits * _DIGIT * TEXT, 0.45, 2.2 / classes)
    for text in (TEXT, SMALL, TINY):
        room = (PAGE - _NAMES_AND_BAR - _LETTER * text * longest) / classes
        if room >= digits * _DIGIT * text or room >= wanted:
            return min(wanted, room), text
    # A cell must stay high enough for the name beside it: with very many classes, a larger page.
    return max(room, 0.018 * TINY), TINY


def _draw_fractions(axes: Axes, confusion: np.ndarray) -> np.ma.MaskedArray:
    """Draws the fractions of the rows and a colour bar; returns them, masked in absent classes."""
    totals = np.broadcast_to(confusion.sum(axis=1, keepdims=True), confusion.shape)
    fractions = np.ma.masked_where(totals == 0, confusion / np.maximum(totals, 1))
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="0.85")
    image = axes.imshow(fractions, cmap=colours, vmin=0, vmax=1)
    bar = axes.figure.colorbar(image, ax=axes, location="bottom", aspect=30)
    bar.set_label("fraction of the true class", fontsize=TEXT)
    bar.ax.tick_params(labelsize=TEXT)
    return fractions


def _label(axes: Axes, class_names: Sequence[str], confusion: np.ndarray, size: int) -> None:
    ids = range(len(class_names))
    axes.set_xticks(ids, class_names, rotation=90, fontsize=size)
    axes.set_yticks(ids, class_names, fontsize=size)
    axes.set_xlabel("predicted class", fontsize=TEXT)
    axes.set_ylabel("true class", fontsize=TEXT)
    overall, measured = scores(confusion), class_scores(confusion)
    title = f"OA {overall.overall_accuracy:.2%}, AA {overall.average_accuracy:.2%}"
    axes.set_title(f"{title}, kappa {overall.kappa:.4f}", fontsize=TEXT + 1)
    right = axes.secondary_yaxis("right")
    producers = [_percent(value, "absent") for value in measured.producers_accuracy]
    right.set_yticks(ids, producers, fontsize=size)
    right.set_ylabel("producer's accuracy (%)", fontsize=TEXT)
    top = axes.secondary_xaxis("top")
    rows = zip(measured.users_accuracy, measured.f1, measured.iou, strict=True)
    texts = ["  ".join(f"{_percent(v):\N{FIGURE SPACE}>6}" for v in row) for row in rows]
    top.set_xticks(ids, texts, rotation=90, fontsize=size)
    top.set_xlabel("user's accuracy, F1, IoU (%), upwards", fontsize=TEXT)
    for axis in (axes, right, top):
        axis.tick_params(length=0)


def _percent(value: float, undefined: str = "-") -> str:
    return undefined if np.isnan(value) else f"{100 * value:.2f}"


def _write_counts(
    axes: Axes, confusion: np.ndarray, fractions: np.ma.MaskedArray, size: int
) -> None:
    for row, column in np.argwhere(confusion):
        colour = "white" if fractions[row, column] > 0.5 else "black"
        count = str(confusion[row, column])
        axes.text(column, row, count, ha="center", va="center", fontsize=size, color=colour)
