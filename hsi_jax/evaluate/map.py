"""Classification maps: a scene's ground truth, its prediction and where the two differ."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hsi_jax.errors import InputError
from hsi_jax.evaluate.palette import UNLABELLED, class_colours

RIGHT, WRONG, UNTESTED = to_rgb("#bdbdbd"), to_rgb("#d7191c"), to_rgb("#ffffff")


def draw_map(
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    test_mask: np.ndarray | None = None,
    rgb: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Draws a scene's composite, ground truth, prediction and errors as panels.

    The panels stand side by side, or one above the other for a scene more than twice as wide as
    high. Pixels are drawn without smoothing, so every colour is one of the legend; save with a
    higher `dpi` to see every pixel of a large scene.

    Args:
        truth: int [rows, cols], class ids in 0..C-1, -1 where unlabelled.
        prediction: int [rows, cols], class ids in 0..C-1, -1 where nothing was predicted.
        class_names: the C names.
        test_mask: bool [rows, cols], the pixels that test the prediction. Of these the labelled
            ones are judged, and a missing prediction is wrong there. Without a mask, every
            labelled pixel with a prediction is judged, training pixels among them.
        rgb: float [rows, cols, 3] in 0..1, such as `rgb_composite` returns.
        title: a line above the panels.

    Returns:
        The figure.

    Raises:
        InputError: shapes disagree, or an id has no class name.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.ndim != 2:
        raise InputError(f"truth has shape {truth.shape}; give a map of rows and columns")
    _check_ids("truth", truth, len(class_names))
    _check_ids("prediction", prediction, len(class_names))
    for name, array in (("prediction", prediction), ("test_mask", test_mask), ("rgb", rgb)):
        _check_shape(name, array, truth.shape)

    composite = [] if rgb is None else [("Composite", np.asarray(rgb))]
    colours = class_colours(len(class_names))
    judged = prediction >= 0 if test_mask is None else np.asarray(test_mask, dtype=bool)
    judged = judged & (truth >= 0)
    wrong = judged & (truth != prediction)
    where = "labelled" if test_mask is None else "test"
    panels = [
        *composite,
        ("Ground truth", _paint(truth, colours)),
        ("Prediction", _paint(prediction, colours)),
        (f"Errors at {where} pixels", _paint_errors(judged, wrong)),
    ]
    entries = [*zip(class_names, colours, strict=True)]
    if (truth < 0).any() or (prediction < 0).any():
        entries.append(("unlabelled", UNLABELLED))
    figure = _draw_panels(panels, entries, title)
    _add_error_legend(figure, judged, wrong)
    return figure


def rgb_composite(cube: np.ndarray, bands: Sequence[int]) -> np.ndarray:
    """Makes a picture of three bands, each stretched from its 2nd to its 98th percentile.

    Args:
        cube: finite numbers [rows, cols, bands].
        bands: three band indices, counted from 0, for red, green and blue.

    Returns:
        float64 [rows, cols, 3] in 0..1; a constant band becomes 0.

    Raises:
        InputError: `cube` has no three axes, or `bands` are not three of its bands.
    """
    cube = np.asarray(cube)
    if cube.ndim != 3:
        raise InputError(f"cube has shape {cube.shape}; give rows, columns and bands")
    if len(bands) != 3 or not all(0 <= band < cube.shape[2] for band in bands):
        raise InputError(
            f"bands is {list(bands)}; give three indices in 0..{cube.shape[2] - 1} "
            "for red, green and blue"
        )
    chosen = cube[:, :, list(bands)].astype(np.float64)
    low, high = np.percentile(chosen, (2, 98), axis=(0, 1))
    span = np.where(high > low, high - low, 1)
    return np.clip((chosen - low) / span, 0, 1)


def _paint(ids: np.ndarray, colours: np.ndarray) -> np.ndarray:
    # The last row answers the id -1.
    return np.vstack([colours, UNLABELLED])[ids]


def _paint_errors(judged: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    image = np.broadcast_to(UNTESTED, (*judged.shape, 3)).copy()
    image[judged] = RIGHT
    image[wrong] = WRONG
    return image


def _draw_panels(
    panels: list[tuple[str, np.ndarray]], entries: list[tuple[str, np.ndarray]], title: str
) -> Figure:
    rows, cols = panels[0][1].shape[:2]
    stacked = cols > 2 * rows
    # Inches; a panel must stay wide enough for its title.
    width = 10.0 if stacked else min(max(6.0 * cols / rows, 1.7), 3.6)
    height = width * rows / cols if stacked else min(width * rows / cols, 6.0)
    down, across = (len(panels), 1) if stacked else (1, len(panels))
    full_width = max(width * across, 7.0)
    legend_columns, legend_rows = _grid([name for name, _ in entries], full_width)
    full_height = (height + 0.35) * down + 0.2 * legend_rows + (1.1 if title else 0.6)
    figure = Figure(figsize=(full_width, full_height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    for axes, (name, image) in zip(figure.subplots(down, across).flat, panels, strict=True):
        axes.imshow(image, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="0.6", linewidth=0.6)
    if title:
        figure.suptitle(title, fontsize=12)
    figure.legend(
        handles=[_patch(name, colour) for name, colour in entries],
        loc="outside lower center",
        ncols=legend_columns,
        fontsize=9,
        frameon=False,
        handlelength=1.2,
        handleheight=1.0,
    )
    return figure


def _add_error_legend(figure: Figure, judged: np.ndarray, wrong: np.ndarray) -> None:
    rows, cols = judged.shape
    figure.axes[-1].legend(
        handles=[
            _patch(f"right {(judged & ~wrong).sum():,}", RIGHT),
            _patch(f"wrong {wrong.sum():,}", WRONG),
            _patch("untested", UNTESTED),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=3 if rows < 2.4 * cols else 1,  # a row of three would be wider than the panel
        fontsize=8,
        frameon=False,
        handlelength=1.0,
        handletextpad=0.4,
        columnspacing=0.9,
    )


def _patch(name: str, colour: np.ndarray) -> Patch:
    return Patch(facecolor=colour, edgecolor="0.6", linewidth=0.6, label=name)


def _grid(names: list[str], width: float) -> tuple[int, int]:
    """Returns the columns and rows in which a legend of `names` fits `width` inches."""
    entry = 0.5 + 0.075 * max(len(name) for name in names)
    rows = math.ceil(len(names) / max(1, int(width / entry)))
    return math.ceil(len(names) / rows), rows


def _check_ids(name: str, ids: np.ndarray, num_classes: int) -> None:
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{name} is of dtype {ids.dtype}; give integer class ids")
    outside = ids[(ids < -1) | (ids >= num_classes)]
    if outside.size:
        raise InputError(
            f"{name} holds the class id {outside[0]}, but class_names names the ids "
            f"0..{num_classes - 1}; use -1 for unlabelled pixels"
        )


def _check_shape(name: str, array: np.ndarray | None, scene: tuple[int, int]) -> None:
    expected = (*scene, 3) if name == "rgb" else scene
    if array is not None and np.shape(array) != expected:
        raise InputError(f"{name} has shape {np.shape(array)}; give {expected} to match the truth")
