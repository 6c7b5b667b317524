"""Splits that differ in one thing: how far the training pixels stay from the test pixels."""

from collections.abc import Sequence

import numpy as np

from hsi_jax.data.splits.disjoint import blocks_of_pixels
from hsi_jax.data.splits.split import NO_IDS, LabelledClasses, Split, class_counts, seeded_generator
from hsi_jax.errors import InputError

# This part of each class stays farther than the largest guard from all test pixels. So training
# pixels far away may still be drawn from most of the scene, and not from a last corner of it.
FAR_FRACTION = 0.5


def guard_splits(
    labels: np.ndarray,
    seed: int,
    *,
    guards: Sequence[int],
    block_size: int,
    test_fraction: float,
    train_fraction: float | None = None,
    train_per_class: int | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[int, Split]:
    """Splits with the same test pixels, whose training pixels keep a growing distance to them.

    The test pixels are those of small blocks. The training pixels are drawn in each class from all
    pixels outside the blocks whose Chebyshev distance to every test pixel is larger than the guard.
    All splits have the same number of training pixels in each class. They are drawn in one random
    order, so that a pixel that is far enough for two guards trains in both splits, or in neither
    where nearer pixels come before it.

    Args:
        labels: int [rows, columns], class index or -1.
        seed: seed of the draw, 0 or more.
        guards: distances in pixels, 0 or more.
        block_size: side of a block of test pixels, in pixels.
        test_fraction: part of each class that is wanted to test. Fewer pixels test where half of
            a class would not stay farther than the largest guard from them; none of a class
            whose pixels all lie close together.
        train_fraction: part of each class that trains, as in `random_split`. Give either this or
            train_per_class.
        train_per_class: number of training pixels of each class.
        class_names: for messages.

    Returns:
        A split of kind "guard" for each guard.

    Raises:
        InputError: if an argument is out of range, if a class has too few pixels, or if no pixel
            can test.
    """
    _check(guards, block_size, test_fraction)
    classes = LabelledClasses.of(labels, class_names)
    needed = classes.training_targets(train_fraction, train_per_class)
    if (needed >= classes.counts).any():
        raise InputError(
            f"`train_per_class`={train_per_class} leaves no test pixels in "
            f"{classes.listing(needed >= classes.counts)}; give a smaller number."
        )
    far = np.maximum(needed, np.ceil(FAR_FRACTION * classes.counts).astype(int))
    wanted = np.maximum(1, np.round(test_fraction * classes.counts)).astype(int)
    rng = seeded_generator(seed)
    is_test = _choose_test(
        classes, rng, far=far, wanted=wanted, guard=max(guards), block_size=block_size
    )
    test = np.flatnonzero(is_test).astype(np.int32)
    if not test.size:
        raise InputError(
            f"`guards` up to {max(guards)}: no pixel can test and leave half of each class farther "
            f"away than that; give smaller guards."
        )
    distance = _distance_to(is_test)
    order = rng.permutation(labels.size)
    splits = {}
    for guard in guards:
        train = _draw(classes, distance.ravel() > guard, needed, order)
        remark = f"Every test pixel lies more than {guard} pixel(s) from every training pixel."
        remarks = (remark, *classes.coverage_remarks(train, test, needed))
        splits[guard] = Split("guard", train, NO_IDS, test, remarks)
    return splits


def _check(guards: Sequence[int], block_size: int, test_fraction: float) -> None:
    if not guards or min(guards) < 0:
        raise InputError(f"`guards`={list(guards)}: give distances of 0 or more pixels")
    if block_size < 1:
        raise InputError(f"`block_size`={block_size}: give 1 or more pixels")
    if not 0 < test_fraction < 1:
        raise InputError(f"`test_fraction`={test_fraction}: give a number between 0 and 1")


def _choose_test(
    classes: LabelledClasses,
    rng: np.random.Generator,
    *,
    far: np.ndarray,
    wanted: np.ndarray,
    guard: int,
    block_size: int,
) -> np.ndarray:
    """The labelled pixels of random blocks, bool [rows, columns].

    The classes choose blocks one after another, the rarest first, until they have what is wanted.
    A block is left out if fewer than `far` pixels of some class would be farther than the guard
    from all blocks.
    """
    labels = classes.labels
    num_classes = len(far)
    rows, columns = labels.shape
    blocks = blocks_of_pixels(rows, columns, block_size)
    across = -(-columns // block_size)
    is_test = np.zeros(labels.shape, bool)
    is_far = labels >= 0
    num_far, num_test = classes.counts, np.zeros(num_classes, int)
    for k in np.argsort(classes.counts, kind="stable"):
        for block in rng.permutation(np.unique(blocks[classes.members[k]])):
            if num_test[k] >= wanted[k]:
                break
            row, column = block_size * np.array(divmod(int(block), across))
            zone = _window(row - guard, column - guard, block_size + 2 * guard)
            own = _window(row, column, block_size)
            lost = class_counts(np.flatnonzero(is_far[zone]), labels[zone], num_classes)
            if is_test[own].any() or (num_far - lost < far).any():
                continue
            is_test[own] = labels[own] >= 0
            is_far[zone] = False
            num_far = num_far - lost
            num_test += class_counts(np.flatnonzero(is_test[own]), labels[own], num_classes)
    return is_test


def _draw(
    classes: LabelledClasses, allowed: np.ndarray, counts: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """The ids of the first pixels of each class that are allowed, int32, increasing."""
    candidates = [ids[allowed[ids]] for ids in classes.members]
    drawn = [ids[np.argsort(order[ids])[:n]] for ids, n in zip(candidates, counts, strict=True)]
    return np.sort(np.concatenate(drawn)).astype(np.int32)


def _window(row: int, column: int, size: int) -> tuple[slice, slice]:
    """A square that may begin outside the scene."""
    return slice(max(0, row), row + size), slice(max(0, column), column + size)


def _distance_to(mask: np.ndarray) -> np.ndarray:
    """Chebyshev distance of each pixel to the nearest one of the mask, int [rows, columns]."""
    from scipy.ndimage import distance_transform_cdt  # slow to import

    return np.asarray(distance_transform_cdt(~mask, metric="chessboard"))
