"""The confusion matrix as a picture."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.metrics import Scores, scores

_SIDE = 11.0  # inches the matrix may fill before its cells shrink
_DIGIT = 0.075  # inches one digit takes at 8 points


def draw_confusion(confusion: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix with the accuracy of each class.

    Colours are shares of a row, that is of the samples of a class, so that small classes show as
    well as large ones. Counts are written into the cells if the widest fits; empty cells stay
    empty. A class without samples in the truth is a grey row, and its accuracy is "absent".

    Args:
        confusion: int [C, C]; rows are the truth, columns the prediction.
        class_names: the C names.

    Returns:
        The figure.

    Raises:
        InputError: `confusion` is no matrix of counts, or the number of names is not C.
    """
    confusion = np.asarray(confusion)
    measured = scores(confusion)
    if len(class_names) != len(confusion):
        raise InputError(
            f"class_names has {len(class_names)} names for the {len(confusion)} classes of "
            "confusion; give one for each"
        )
    totals = np.broadcast_to(confusion.sum(axis=1, keepdims=True), confusion.shape)
    shares = np.ma.masked_where(totals == 0, confusion / np.maximum(totals, 1))
    count_width = _DIGIT * (len(str(confusion.max())) + 1)
    wanted = max(count_width, 0.5, 2.5 / len(confusion))
    # A cell must stay high enough for a class name of 8 points beside it.
    cell = max(min(_SIDE / len(confusion), wanted), 0.16)
    side, names = cell * len(confusion), 0.075 * max(len(name) for name in class_names)
    figure = Figure(figsize=(side + names + 1.6, side + names + 2.0), layout="compressed")
    axes = figure.subplots()
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="0.85")
    image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", location="bottom", aspect=30)
    _label(axes, class_names, measured)
    if count_width <= cell:
        _write_counts(axes, confusion, shares)
    return figure


def _label(axes: Axes, class_names: Sequence[str], measured: Scores) -> None:
    ids = range(len(class_names))
    axes.set_xticks(ids, class_names, rotation=90, fontsize=8)
    axes.set_yticks(ids, class_names, fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(
        f"OA {measured.overall_accuracy:.2%}, AA {measured.average_accuracy:.2%}, "
        f"kappa {measured.kappa:.4f}",
        fontsize=10,
    )
    accuracies = [
        "absent" if np.isnan(value) else f"{value:.2%}" for value in measured.per_class_accuracy
    ]
    right = axes.secondary_yaxis("right")
    right.set_yticks(ids, accuracies, fontsize=8)
    right.set_ylabel("accuracy of the class")
    for axis in (axes, right):
        axis.tick_params(length=0)


def _write_counts(axes: Axes, confusion: np.ndarray, shares: np.ma.MaskedArray) -> None:
    for row, column in np.argwhere(confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"
        count = str(confusion[row, column])
        axes.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
