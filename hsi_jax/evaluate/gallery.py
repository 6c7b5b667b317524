"""Classified images to look at: what a network mistakes for what."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hsi_jax.errors import InputError

COLUMNS = 6
MOST = 24
TILE = 1.9  # inches


def choose_examples(truth: np.ndarray, prediction: np.ndarray, most: int = MOST) -> np.ndarray:
    """Places of the images to show: wrong ones, of as many kinds of mistake as there are.

    The kinds (true class, predicted class) are gone through from the most frequent, one image of
    each, then again. Where fewer than `most` are wrong, right ones fill up, class by class.

    Args:
        truth: int [n].
        prediction: int [n].
        most: at most so many.

    Returns:
        int [k], k <= most, without repeats.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    kinds: dict[tuple, list[int]] = {}
    for place, kind in enumerate(zip(truth.tolist(), prediction.tolist(), strict=True)):
        kinds.setdefault(kind, []).append(place)
    wrong = sorted((k for k in kinds if k[0] != k[1]), key=lambda k: (-len(kinds[k]), k))
    right = sorted(k for k in kinds if k[0] == k[1])
    chosen = _by_turns([kinds[k] for k in wrong]) + _by_turns([kinds[k] for k in right])
    return np.array(chosen[:most], int)


def _by_turns(groups: list[list[int]]) -> list[int]:
    rounds = max(map(len, groups), default=0)
    return [group[turn] for turn in range(rounds) for group in groups if turn < len(group)]


def draw_gallery(
    images: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    title: str = "",
) -> Figure:
    """Draws images with their class, and in red what they were taken for instead.

    Args:
        images: uint8 [n, rows, columns, channels]; of more or fewer than 3 channels, the first is
            shown in gray.
        truth: class indexes, int [n].
        prediction: likewise.
        class_names: C names.
        title: a line above them.

    Raises:
        InputError: if there is no image, or the lengths differ.
    """
    if not len(images) == len(truth) == len(prediction) or len(images) == 0:
        raise InputError(
            f"{len(images)} images, {len(truth)} true and {len(prediction)} predicted classes; "
            f"give as many of each, at least one"
        )
    rows = math.ceil(len(images) / COLUMNS)
    figure = Figure(figsize=(COLUMNS * TILE, rows * (TILE + 0.45) + 0.5), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, true, predicted in zip(axes, images, truth, prediction, strict=False):
        shown = image if image.shape[-1] == 3 else image[..., 0]
        axis.imshow(shown, cmap="gray", interpolation="nearest")
        right = true == predicted
        name = class_names[true]
        caption = name if right else f"{name}\ntaken for {class_names[predicted]}"
        axis.set_title(caption, fontsize=8, color="black" if right else "#b2182b")
    figure.suptitle(title)
    return figure
