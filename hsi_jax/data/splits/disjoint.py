"""Training blocks at a distance from all test pixels."""

from collections.abc import Sequence

import numpy as np

from hsi_jax.data.splits.distance import dilate
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


def disjoint_split(
    labels: np.ndarray,
    seed: int,
    *,
    guard: int,
    block_size: int,
    train_fraction: float | None = None,
    train_per_class: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Split:
    """Draws training pixels from random square blocks; pixels far enough from them test.

    The classes choose blocks one after another, the rarest class first. Each class chooses until
    the blocks chosen so far hold its target. If it lies in two or more blocks, one of them stays
    outside training. Inside the chosen blocks each class is drawn down to its target; the rest is
    unused. Of several such draws, the one with the fewest classes without test pixels is kept.
    With guard = patch_size // 2 no test patch contains a training pixel.

    Args:
        labels: int [rows, columns], class index or -1.
        seed: seed of the draw, 0 or more.
        guard: labelled pixels outside the blocks test if their Chebyshev distance, in pixels, to
            every training pixel is larger than this.
        block_size: side of a block, in pixels.
        train_fraction: part of each class that trains, as in `random_split`. Give either this or
            train_per_class.
        train_per_class: number of training pixels wanted in each class.
        class_names: for messages.

    Raises:
        InputError: if an argument is out of range, if a class gets no training pixels, or if no
            test pixels remain.
    """
    if guard < 0 or block_size < 1:
        raise InputError(
            f"`guard`={guard} and `block_size`={block_size}: give 0 or more pixels for the guard, "
            f"and 1 or more for the block size"
        )
    classes = LabelledClasses.of(labels, class_names)
    targets = classes.training_targets(train_fraction, train_per_class)
    rows, columns = labels.shape
    blocks = blocks_of_pixels(rows, columns, block_size)
    rng = seeded_generator(seed)

    def defects(split: tuple[np.ndarray, np.ndarray]) -> tuple[int, int, int]:
        trained, tested = (class_counts(ids, labels, len(targets)) for ids in split)
        return np.sum(trained == 0), np.sum(tested == 0), np.sum(targets - trained)

    draws = (_draw(classes, targets, blocks, guard=guard, rng=rng) for _ in range(_NUM_DRAWS))
    train, test = min(draws, key=defects)
    untrained = class_counts(train, labels, len(targets)) == 0
    if untrained.any():
        raise InputError(
            f"`block_size`={block_size} leaves no training pixels for "
            f"{classes.listing(untrained)} labelled pixels; give a smaller one."
        )
    if not test.size:
        raise InputError(
            f"No test pixels remain with `block_size`={block_size} and `guard`={guard}; give a "
            f"smaller `block_size` or `patch_size`, or fewer training pixels."
        )
    remarks = classes.coverage_remarks(train, test, targets)
    return Split("disjoint", train, NO_IDS, test, remarks, groups=blocks, guard=guard)


def _draw(
    classes: LabelledClasses,
    targets: np.ndarray,
    blocks: np.ndarray,
    *,
    guard: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Ids of training and of test pixels."""
    chosen = _choose_blocks([blocks[ids] for ids in classes.members], targets, rng)
    candidates = [ids[chosen[blocks[ids]]] for ids in classes.members]
    train = draw_samples(candidates, targets, rng)
    outside = np.concatenate([ids[~chosen[blocks[ids]]] for ids in classes.members])
    near = dilate(train, classes.labels.shape, 2 * guard + 1)
    return train, np.sort(outside[~near[outside]]).astype(np.int32)


def blocks_of_pixels(rows: int, columns: int, block_size: int) -> np.ndarray:
    """Index of the block in which each flat pixel id lies, int [rows * columns]."""
    blocks_across = -(-columns // block_size)
    row, column = np.divmod(np.arange(rows * columns), columns)
    return row // block_size * blocks_across + column // block_size


def _choose_blocks(
    blocks_of_class: list[np.ndarray], targets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Returns which blocks train, bool [blocks], given the block of every pixel of each class."""
    num_blocks = 1 + max(blocks.max(initial=0) for blocks in blocks_of_class)
    inside = np.stack([np.bincount(b, minlength=num_blocks) for b in blocks_of_class], axis=1)
    occupied = inside > 0
    left = occupied.sum(axis=0)  # blocks of each class outside the training set
    spared = left >= 2
    chosen = np.zeros(num_blocks, bool)
    for k in np.argsort(inside.sum(axis=0), kind="stable"):
        got = inside[chosen, k].sum()
        for block in rng.permutation(np.flatnonzero(occupied[:, k] & ~chosen)):
            if got >= targets[k]:
                break
            if np.any(spared & (left - occupied[block] < 1)):
                continue
            chosen[block] = True
            left = left - occupied[block]
            got += inside[block, k]
    return chosen
