"""Classification maps: a scene's ground truth, its prediction and where the two differ."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.lettering import captions, lettered
from hsi_jax.evaluate.figures.palette import UNLABELLED_COLOUR, class_colours
from hsi_jax.evaluate.figures.style import PAGE, TEXT
from hsi_jax.evaluate.maps.ground import Ground

CORRECT_COLOUR, WRONG_COLOUR = to_rgb("#bdbdbd"), to_rgb("#d7191c")
UNTESTED_COLOUR = to_rgb("#ffffff")
NODATA_COLOUR = to_rgb("#ffffff")  # the colours of classes keep away from white


@lettered
def draw_map(
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    *,
    test_mask: np.ndarray | None = None,
    rgb: np.ndarray | None = None,
    nodata: np.ndarray | None = None,
    title: str = "",
    colours: np.ndarray | None = None,
    transform: tuple[float, ...] | None = None,
    crs: str | None = None,
) -> Figure:
    """Draws the composite, ground truth, prediction and errors of a scene as panels.

    The panels are side by side, or one below the other if the scene is more than twice as wide as
    high. Pixels are drawn without smoothing, so every colour is one of the legend; save with a
    higher `dpi` to see every pixel of a large scene. In a projected system whose unit is known,
    the first panel has a scale bar and an arrow to the north of the grid.

    Args:
        truth: int [rows, cols], class indexes in 0..C-1, -1 where unlabelled.
        prediction: int [rows, cols], class indexes in 0..C-1, -1 where nothing was predicted.
        class_names: the C names.
        test_mask: bool [rows, cols], the pixels that test the prediction. The labelled ones of
            them are judged, and a missing prediction there is wrong. Without a mask, every
            labelled pixel with a prediction is judged, also training pixels.
        rgb: float [rows, cols, 3] in 0..1, such as `rgb_composite` returns.
        nodata: bool [rows, cols], the pixels without data, which are drawn so in every panel.
        title: a line above the panels.
        colours: of the classes, float [C, 3] in 0..1; those of `class_colours` by default.
        transform: from pixels to coordinates, as of `Scene`.
        crs: of these coordinates, WKT or a code such as "EPSG:32616".

    Returns:
        The figure.

    Raises:
        InputError: if shapes disagree, an index has no class name, a colour is not in 0..1, or
            the transform gives a pixel no area.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.ndim != 2:
        raise InputError(f"`truth` has shape {truth.shape}; give a map of rows and columns")
    _check_indexes("truth", truth, len(class_names))
    _check_indexes("prediction", prediction, len(class_names))
    for name, array in {"prediction": prediction, "test_mask": test_mask, "nodata": nodata}.items():
        _check_shape(name, array, truth.shape)
    _check_shape("rgb", rgb, (*truth.shape, 3))
    colours = _check_colours(colours, len(class_names))
    judged, wrong = _judge(truth, prediction, test_mask)
    where = "labelled" if test_mask is None else "test"
    panels = [
        *([] if rgb is None else [("Composite", _bytes(rgb))]),
        ("Ground truth", _paint(truth, colours)),
        ("Prediction", _paint(prediction, colours)),
        (f"Errors at {where} pixels", _paint_errors(judged, wrong)),
    ]
    patches = [_patch(*pair) for pair in zip(captions(class_names), colours, strict=True)]
    empty = np.zeros(truth.shape, bool) if nodata is None else np.asarray(nodata, dtype=bool)
    if ((truth < 0) & ~empty).any() or ((prediction < 0) & ~empty).any():
        patches.append(_patch("unlabelled", UNLABELLED_COLOUR))
    if empty.any():
        patches.append(_patch("no data", NODATA_COLOUR))
        for _, image in panels:
            image[empty] = _bytes(NODATA_COLOUR)
    figure = _draw_panels(panels, patches, title, Ground.of(transform, crs))
    return _add_error_legend(figure, judged, wrong)


def _judge(
    truth: np.ndarray, prediction: np.ndarray, test_mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that are judged, and those of them that are wrong, bool [rows, cols] each."""
    judged = prediction >= 0 if test_mask is None else np.asarray(test_mask, dtype=bool)
    judged = judged & (truth >= 0)
    return judged, judged & (truth != prediction)


def draw_classes(
    indexes: np.ndarray,
    class_names: Sequence[str],
    colours: np.ndarray | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draws one class map with its legend.

    Args:
        indexes: int [rows, cols], class indexes in 0..C-1, -1 where there is no data.
        class_names: the C names.
        colours: of the classes, float [C, 3] in 0..1; those of `class_colours` by default.
        title: a line above the map.

    Returns:
        The figure.

    Raises:
        InputError: as `draw_map`.
    """
    indexes = np.asarray(indexes)
    _check_indexes("indexes", indexes, len(class_names))
    colours = _check_colours(colours, len(class_names))
    patches = [_patch(name, colour) for name, colour in zip(class_names, colours, strict=True)]
    image = _paint(indexes, colours)
    if (indexes < 0).any():
        patches.append(_patch("no data", NODATA_COLOUR))
        image[indexes < 0] = _bytes(NODATA_COLOUR)
    return _draw_panels([("", image)], patches, title, None)


def rgb_composite(
    cube: np.ndarray, bands: Sequence[int], nodata: np.ndarray | None = None
) -> np.ndarray:
    """Makes a picture of three bands, each stretched from its 2nd to its 98th percentile.

    Args:
        cube: finite numbers [rows, cols, bands].
        bands: three band indices, counted from 0, for red, green and blue.
        nodata: bool [rows, cols], pixels that do not count in the stretch; None for none.

    Returns:
        float64 [rows, cols, 3] in 0..1; a constant band becomes 0.

    Raises:
        InputError: if `cube` does not have three axes, or `bands` are not three of its bands.
    """
    cube = np.asarray(cube)
    if cube.ndim != 3:
        raise InputError(f"`cube` has shape {cube.shape}; give rows, columns and bands")
    if len(bands) != 3 or not all(0 <= band < cube.shape[2] for band in bands):
        raise InputError(
            f"`bands` is {list(bands)}; give three indices in 0..{cube.shape[2] - 1} "
            "for red, green and blue"
        )
    chosen = cube[:, :, list(bands)].astype(np.float64)
    known = chosen.reshape(-1, 3) if nodata is None else chosen[~nodata]
    low, high = np.percentile(known, (2, 98), axis=0)
    span = np.where(high > low, high - low, 1)
    return np.clip((chosen - low) / span, 0, 1)


def _paint(indexes: np.ndarray, colours: np.ndarray) -> np.ndarray:
    # The last row is the colour of the index -1.
    return _bytes(np.vstack([colours, UNLABELLED_COLOUR]))[indexes]


def _paint_errors(judged: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    kinds = np.where(judged, np.where(wrong, 1, 0), -1)
    return _bytes(np.array([CORRECT_COLOUR, WRONG_COLOUR, UNTESTED_COLOUR]))[kinds]


def _bytes(colours: ArrayLike) -> np.ndarray:
    """Fractions of full intensity as uint8, of which Matplotlib makes smaller copies."""
    return (np.asarray(colours) * 255).astype(np.uint8)  # as Matplotlib rounds them


def _draw_panels(
    panels: list[tuple[str, np.ndarray]], patches: list[Patch], title: str, ground: Ground | None
) -> Figure:
    rows, cols = panels[0][1].shape[:2]
    aspect = ground.row_m / ground.column_m if ground else 1.0
    stacked = cols > 2 * aspect * rows
    down, across = (len(panels), 1) if stacked else (1, len(panels))
    # Inches, of a panel; all panels fit a page.
    height = min(PAGE / across * aspect * rows / cols, 7.4 / down if stacked else 6.0)
    legend_columns, legend_rows = _grid([str(patch.get_label()) for patch in patches], PAGE)
    below = 0.3 + (0.3 if ground or not stacked else 0)  # legend of the errors, scale bar
    full_height = (height + 0.3) * down + 0.18 * legend_rows + below + (0.35 if title else 0.1)
    layout = ConstrainedLayoutEngine(h_pad=0.06)
    figure = Figure(figsize=(PAGE, full_height), layout=layout)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, (name, image) in zip(grid.flat, panels, strict=True):
        axes.imshow(image, interpolation="nearest", aspect=aspect)
        axes.set_title(name, fontsize=TEXT)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="0.6", linewidth=0.6)
    if ground:
        ground.draw(figure.axes[0], cols)
    if title:
        figure.suptitle(title, fontsize=TEXT + 2)
    figure.legend(
        handles=patches,
        loc="outside lower center",
        ncols=legend_columns,
        fontsize=TEXT,
        frameon=False,
        handlelength=1.2,
        handleheight=1.0,
    )
    return figure


def _add_error_legend(figure: Figure, judged: np.ndarray, wrong: np.ndarray) -> Figure:
    places = (axes.get_subplotspec() for axes in figure.axes)
    stacked = len({place.rowspan.start for place in places if place is not None}) > 1
    figure.axes[-1].legend(
        handles=[
            _patch(f"correct {(judged & ~wrong).sum():,}", CORRECT_COLOUR),
            _patch(f"wrong {wrong.sum():,}", WRONG_COLOUR),
            _patch("untested", UNTESTED_COLOUR),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=3 if stacked else 1,  # a row of three would be wider than the panel
        fontsize=TEXT,
        frameon=False,
        handlelength=1.0,
        handletextpad=0.4,
        columnspacing=0.9,
    )
    return figure


def _patch(name: str, colour: Iterable[float]) -> Patch:
    red, green, blue = colour
    return Patch(facecolor=(red, green, blue), edgecolor="0.6", linewidth=0.6, label=name)


def _grid(names: list[str], width: float) -> tuple[int, int]:
    """The columns and rows with which a legend of these names fits a width in inches."""
    entry = 0.45 + 0.068 * max(len(name) for name in names)
    rows = math.ceil(len(names) / max(1, int(width / entry)))
    return math.ceil(len(names) / rows), rows


def _check_indexes(name: str, indexes: np.ndarray, num_classes: int) -> None:
    if not np.issubdtype(indexes.dtype, np.integer):
        raise InputError(f"`{name}` is of dtype {indexes.dtype}; give integer class indexes")
    outside = indexes[(indexes < -1) | (indexes >= num_classes)]
    if outside.size:
        raise InputError(
            f"`{name}` holds the class index {outside[0]}, but `class_names` has names for "
            f"0..{num_classes - 1}; use -1 for unlabelled pixels"
        )


def _check_shape(name: str, array: np.ndarray | None, wanted: tuple[int, ...]) -> None:
    if array is not None and np.shape(array) != wanted:
        raise InputError(f"`{name}` has shape {np.shape(array)}; give {wanted}")


def _check_colours(colours: np.ndarray | None, num_classes: int) -> np.ndarray:
    if colours is None:
        return class_colours(num_classes)
    _check_shape("colours", colours, (num_classes, 3))
    colours = np.asarray(colours, dtype=np.float64)
    if not ((colours >= 0) & (colours <= 1)).all():
        raise InputError("`colours` holds numbers outside 0..1; give fractions of full intensity")
    return colours
