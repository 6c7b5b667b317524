"""A split that keeps each polygon of the labels on one side."""

from collections.abc import Sequence

import numpy as np

from hsi_jax.data.splits.split import (
    NO_IDS,
    LabelledClasses,
    Split,
    class_counts,
    draw_samples,
    seeded_generator,
)
from hsi_jax.errors import InputError

_NUM_DRAWS = 20


def polygon_split(
    labels: np.ndarray,
    polygon_ids: np.ndarray,
    seed: int,
    *,
    train_fraction: float | None = None,
    train_per_class: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Split:
    """Draws whole polygons (or points) to train; the pixels of all others test.

    Each class draws polygons in a random order until they hold its target of pixels. If it has two
    or more, one of them is left to test; its only one trains. Of several such draws of a class,
    that whose number of pixels is nearest to the target is kept. With train_fraction all pixels of
    the polygons drawn train. With train_per_class they are drawn down to that number, and the rest
    is unused.

    Args:
        labels: int [rows, columns], class index or -1.
        polygon_ids: int [rows, columns], number of the polygon of each pixel, or -1.
        seed: seed of the draw, 0 or more.
        train_fraction: part of the pixels of each class that trains, as near as polygons allow.
            Give either this or train_per_class.
        train_per_class: number of training pixels wanted in each class.
        class_names: for messages.

    Raises:
        InputError: if an argument is out of range, if a labelled pixel lies in no polygon, if a
            polygon has several classes, or if no test pixels remain.
    """
    classes = LabelledClasses.of(labels, class_names)
    targets = classes.training_targets(train_fraction, train_per_class)
    polygons = _polygons_of_pixels(labels, polygon_ids, classes)
    rng = seeded_generator(seed)
    train, test, single = [], [], []
    for k, ids in enumerate(classes.members):
        chosen = _choose(polygons[ids], int(targets[k]), rng)
        inside = np.isin(polygons[ids], chosen)
        train.append(ids[inside])
        test.append(ids[~inside])
        if len(np.unique(polygons[ids])) == 1:
            single.append(f"{classes.describe(k)} has one polygon, which trains.")
    if not sum(map(len, test)):
        raise InputError(
            "Each class has one polygon, so that none is left to test; label more polygons, or "
            "split at random."
        )
    limits = [len(ids) for ids in train]
    if train_per_class is not None:
        limits = np.minimum(limits, targets)
    trained = draw_samples(train, limits, rng)
    tested = np.sort(np.concatenate(test)).astype(np.int32)
    wanted = None if train_per_class is None else targets
    remarks = (*single, *classes.coverage_remarks(trained, tested, wanted))
    if train_fraction is not None:
        part = class_counts(trained, labels, len(targets)).sum() / classes.counts.sum()
        remarks = (f"{part:.1%} of the labelled pixels train, in whole polygons.", *remarks)
    return Split("polygons", trained, NO_IDS, tested, remarks, groups=polygons)


def _polygons_of_pixels(
    labels: np.ndarray, polygon_ids: np.ndarray, classes: LabelledClasses
) -> np.ndarray:
    """The polygon of each pixel, int [rows * columns], checked."""
    if polygon_ids.shape != labels.shape or polygon_ids.dtype.kind not in "iu":
        raise InputError(
            f"`polygon_ids` has shape {polygon_ids.shape} and dtype {polygon_ids.dtype}; give "
            f"whole numbers of the shape of the labels, {labels.shape}."
        )
    polygons = polygon_ids.ravel()
    outside = sum(int(np.count_nonzero(polygons[ids] < 0)) for ids in classes.members)
    if outside:
        raise InputError(
            f"{outside} labelled pixels lie in no polygon of `polygon_ids`; give the polygons that "
            f"the labels come from."
        )
    own = [np.unique(polygons[ids]) for ids in classes.members]
    numbers, uses = np.unique(np.concatenate(own), return_counts=True)
    if (uses > 1).any():
        raise InputError(
            f"Polygon {numbers[uses > 1][0]} of `polygon_ids` has pixels of several classes; give "
            f"polygons of one class each."
        )
    return polygons


def _choose(polygons: np.ndarray, target: int, rng: np.random.Generator) -> np.ndarray:
    """The polygons of a class that train; `polygons` has the polygon of each of its pixels."""
    numbers, sizes = np.unique(polygons, return_counts=True)
    most = max(1, len(numbers) - 1)

    def draw() -> np.ndarray:
        order = rng.permutation(len(numbers))
        enough = int(np.searchsorted(np.cumsum(sizes[order]), target)) + 1
        return order[: min(enough, most)]

    def defect(order: np.ndarray) -> int:
        return abs(int(sizes[order].sum()) - target)

    return numbers[min((draw() for _ in range(_NUM_DRAWS)), key=defect)]
