"""A picture of classified images, above all of those that were classified wrong."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.lettering import captions, lettered
from hsi_jax.evaluate.figures.style import PAGE, TEXT, TINY

COLUMNS = 6
MAX_EXAMPLES = 24
_TILE = PAGE / COLUMNS  # width of an image with its margin, inches


def choose_examples(
    truth: np.ndarray, prediction: np.ndarray, max_examples: int = MAX_EXAMPLES
) -> np.ndarray:
    """Chooses images to show: first wrong ones, then correct ones.

    A confusion is a pair of true class and predicted class. One image of each confusion is taken,
    from the most frequent confusion to the rarest, then a second image of each, and so on. If that
    gives too few, correct images follow in the same way, one of each class after the other.

    Args:
        truth: class indexes, int [n].
        prediction: class indexes, int [n].
        max_examples: the largest number of images.

    Returns:
        Indexes of images, int [k], k <= max_examples, without repeats.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    pairs = zip(np.asarray(truth).tolist(), np.asarray(prediction).tolist(), strict=True)
    for index, pair in enumerate(pairs):
        groups.setdefault(pair, []).append(index)
    wrong = sorted((p for p in groups if p[0] != p[1]), key=lambda p: (-len(groups[p]), p))
    correct = sorted(p for p in groups if p[0] == p[1])
    chosen = _in_turn([groups[p] for p in wrong]) + _in_turn([groups[p] for p in correct])
    return np.array(chosen[:max_examples], int)


def _in_turn(groups: list[list[int]]) -> list[int]:
    """The first member of each group, then the second of each, and so on."""
    rounds = max(map(len, groups), default=0)
    return [group[turn] for turn in range(rounds) for group in groups if turn < len(group)]


@lettered
def draw_gallery(
    images: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    class_names: Sequence[str],
    title: str = "",
) -> Figure:
    """Draws images with their true class and, if it is wrong, the predicted class in red.

    Args:
        images: [n, rows, columns, bands], any real numbers; shown as `displayed` says.
        truth: class indexes, int [n].
        prediction: class indexes, int [n].
        class_names: the names of the classes.
        title: a line above the images.

    Returns:
        The figure.

    Raises:
        InputError: if there is no image, or the lengths differ.
    """
    if not len(images) == len(truth) == len(prediction) or len(images) == 0:
        raise InputError(
            f"there are {len(images)} `images`, {len(truth)} classes in `truth` and "
            f"{len(prediction)} in `prediction`; give the same number of each, at least one"
        )
    class_names = captions(class_names)
    rows = math.ceil(len(images) / COLUMNS)
    figure = Figure(figsize=(PAGE, rows * (_TILE + 0.36) + 0.4), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    shown, bands = displayed(images)
    for axis, image, true, predicted in zip(axes, shown, truth, prediction, strict=False):
        _draw_image(axis, image, class_names[true], class_names[predicted])
    heading = "\n".join(line for line in (title, bands) if line)
    figure.suptitle(heading, fontsize=TEXT + 1)
    return figure


def _draw_image(axes: Axes, image: np.ndarray, true: str, predicted: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    wrong = predicted != true
    caption = f"{true}\ntaken for\n{predicted}" if wrong else true
    axes.set_title(caption, fontsize=TINY, color="#b2182b" if wrong else "black")


def displayed(images: np.ndarray) -> tuple[np.ndarray, str]:
    """Images as they can be shown: in grey or in red, green and blue, of 8 bits.

    Of four bands the first three are shown; of 12 or 13, which are those of Sentinel-2 as a rule,
    the fourth, third and second; of other numbers, one at the end, in the middle and at the start.
    Of two bands the first is shown in grey. Values of other types than uint8, and of these more
    than 4 bands, are stretched: in each band from the 2nd to the 98th percentile of all the images.

    Args:
        images: [n, rows, columns, bands], any real numbers.

    Returns:
        uint8 [n, rows, columns, 3] or [n, rows, columns], and a line that says which bands these
        are, "" where that is plain.
    """
    count = images.shape[-1]
    bands = _shown_bands(count)
    shown = images[..., bands]
    line = ""
    if count not in (1, 3):
        numbers = ", ".join(str(band + 1) for band in bands)
        colours = "red, green and blue" if len(bands) == 3 else "grey"
        line = f"bands {numbers} of {count} in {colours}" if len(bands) > 1 else f"band {numbers}"
    if images.dtype != np.uint8 or count > 4:
        shown = _stretch(shown)
    return (shown if len(bands) == 3 else shown[..., 0]), line


def _shown_bands(count: int) -> list[int]:
    if count < 3:
        return [0]
    if count in (3, 4):
        return [0, 1, 2]
    return [3, 2, 1] if count in (12, 13) else [count - 1, count // 2, 0]


def _stretch(images: np.ndarray) -> np.ndarray:
    low, high = np.percentile(images, (2, 98), axis=(0, 1, 2))
    fraction = (images - low) / np.where(high > low, high - low, 1)
    return np.rint(255 * np.clip(fraction, 0, 1)).astype(np.uint8)
