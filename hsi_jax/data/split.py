"""Which labelled samples, pixels of a scene or images of a set, train, validate and test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter

from hsi_jax.data.reader import read_array
from hsi_jax.errors import InputError

_BLOCK_DRAWS = 20
_NO_IDS = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Split:
    """A division of labelled samples; samples in none of the three sets are unused.

    Attributes:
        kind: how it was made: "random", "disjoint" or "file", or "official" if it comes with an
            image set.
        train: int32 sample ids, increasing: numbers of images, or row * columns + column.
        validation: likewise.
        test: likewise.
        remarks: every exception to the rule that was made, a sentence each, to be reported.
    """

    kind: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    remarks: tuple[str, ...] = ()


def random_split(
    labels: np.ndarray,
    seed: int,
    fraction: float | None = None,
    per_class: int | None = None,
    small_classes: str = "error",
    class_names: Sequence[str] | None = None,
) -> Split:
    """Draws training samples at random in every class; all other labelled samples test.

    This is the usual protocol of the field. In a scene, test pixels have training pixels next to
    them, which flatters models that look at patches: see `disjoint_split` and `count_leakage`.

    Args:
        labels: int [rows, columns] of a scene or [n] of images, class index or -1.
        seed: seed of the draw, 0 or more.
        fraction: part f of each class that trains: round(f * N_c), but at least 1 and at most
            N_c - 1 samples of a class of N_c. Give either this or per_class.
        per_class: number of training samples in each class.
        small_classes: what to do with classes of no more than per_class samples: "error", or "half"
            to train with half of them.
        class_names: for messages.

    Raises:
        InputError: if not exactly one of fraction and per_class is given or it is out of range, or
            if a class has too few labelled samples.
    """
    if small_classes not in ("error", "half"):
        raise InputError(f"small_classes '{small_classes}' is not known; give 'error' or 'half'.")
    members = _class_members(labels)
    counts = np.array([len(ids) for ids in members])
    describe = _describer(class_names)
    targets = _targets(counts, fraction, per_class)
    remarks = []
    if (counts < 2).any():
        raise InputError(
            f"{_listing(counts < 2, counts, describe)}: a class needs at least 2 labelled samples, "
            f"one to train and one to test; label more or drop the class."
        )
    small = targets >= counts
    if small.any() and small_classes == "error":
        raise InputError(
            f"{per_class} training samples per class leave no test samples in "
            f"{_listing(small, counts, describe)}; ask for fewer, or choose to train small classes "
            f"with half of their samples (small_classes='half')."
        )
    for k in np.flatnonzero(small):
        targets[k] = counts[k] // 2
        remarks.append(
            f"{describe(k)} has only {counts[k]} labelled samples: half of them, {targets[k]}, "
            f"train instead of {per_class}."
        )
    rng = _generator(seed)
    train = _sorted_ids([rng.permutation(ids)[:n] for ids, n in zip(members, targets, strict=True)])
    test = np.setdiff1d(np.concatenate(members), train).astype(np.int32)
    return Split("random", train, _NO_IDS, test, tuple(remarks))


def disjoint_split(
    labels: np.ndarray,
    seed: int,
    guard: int,
    block_size: int,
    fraction: float | None = None,
    per_class: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Split:
    """Draws training pixels from random square blocks and tests well away from them.

    Classes choose blocks from the rarest to the commonest, each until the blocks chosen so far
    hold its target, and never the last block outside training of any class that lies in two
    or more. Inside the chosen blocks, each class is subsampled to its target; what is over is
    unused. Of several such draws the one that leaves the fewest classes without test pixels is
    kept. With guard = patch_size // 2 no test patch contains a training pixel.

    Args:
        labels: int [rows, columns], class index or -1.
        seed: seed of the draw, 0 or more.
        guard: labelled pixels outside the blocks test if their Chebyshev distance, in pixels, to
            every training pixel is larger than this.
        block_size: side of a block, in pixels.
        fraction: part of each class that trains, as in `random_split`. Give this or per_class.
        per_class: number of training pixels wanted in each class.
        class_names: for messages.

    Raises:
        InputError: if an argument is out of range, if a class gets no training pixels, or if no
            test pixels remain.
    """
    if guard < 0 or block_size < 1:
        raise InputError(
            f"A guard of {guard} and a block size of {block_size} pixels are not possible; give "
            f"a guard of 0 or more and a block size of 1 or more."
        )
    members = _class_members(labels)
    counts = np.array([len(ids) for ids in members])
    targets = _targets(counts, fraction, per_class)
    blocks = _block_of_pixel(labels.shape, block_size)
    rng = _generator(seed)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        chosen = _choose_blocks([blocks[ids] for ids in members], targets, rng)
        candidates = [ids[chosen[blocks[ids]]] for ids in members]
        train = _sorted_ids(
            [rng.permutation(ids)[:n] for ids, n in zip(candidates, targets, strict=True)]
        )
        outside = np.concatenate([ids[~chosen[blocks[ids]]] for ids in members])
        near = _dilate(train, labels.shape, 2 * guard + 1)
        return train, _sorted_ids([outside[~near[outside]]])

    def defects(split: tuple[np.ndarray, np.ndarray]) -> tuple[int, int, int]:
        trained, tested = (class_counts(ids, labels, len(counts)) for ids in split)
        return np.sum(trained == 0), np.sum(tested == 0), np.sum(targets - trained)

    train, test = min((draw() for _ in range(_BLOCK_DRAWS)), key=defects)
    describe = _describer(class_names)
    _check_disjoint(train, test, labels, counts, describe, guard, block_size)
    remarks = _coverage_remarks(train, test, labels, counts, describe, targets)
    return Split("disjoint", train, _NO_IDS, test, remarks)


def file_split(
    path: str | Path, labels: np.ndarray, class_names: Sequence[str] | None = None
) -> Split:
    """Reads a split that somebody else defined.

    Args:
        path: .npz or .mat file with two maps, `train` and `test`, of the scene's rows and columns,
            boolean or whole numbers; non-zero means that the pixel belongs to the set.
        labels: int [rows, columns], class index or -1.
        class_names: for messages.

    Raises:
        InputError: if a map is missing, empty or of another shape or type, if the maps overlap, or
            if they contain unlabelled pixels.
    """
    train = _read_map(path, "train", labels)
    test = _read_map(path, "test", labels)
    overlap = np.intersect1d(train, test).size
    if overlap:
        raise InputError(
            f"{overlap} pixel(s) are in both `train` and `test` of {path}; take them out of one."
        )
    counts = np.array([len(ids) for ids in _class_members(labels)])
    remarks = _coverage_remarks(train, test, labels, counts, _describer(class_names))
    return Split("file", train, _NO_IDS, test, remarks)


def hold_out(split: Split, labels: np.ndarray, fraction: float, seed: int) -> Split:
    """Moves a random part of the training samples of each class to validation.

    Args:
        split: a split without validation samples.
        labels: int [rows, columns] or [n], class index or -1.
        fraction: part f of the n_c training samples of each class, 0 <= f < 1; floor(f * n_c) are
            moved, so that a class never loses its last one. 0 returns the split unchanged.
        seed: seed of the draw, 0 or more.

    Raises:
        InputError: if fraction is out of range or the split has validation samples already.
    """
    if not 0 <= fraction < 1:
        raise InputError(
            f"A validation fraction of {fraction} is not possible; give 0 or more, below 1."
        )
    if split.validation.size:
        raise InputError(
            f"The split has {split.validation.size} validation samples already; hold out only once."
        )
    if fraction == 0:
        return split
    exact = Fraction(str(fraction))  # floor(0.29 * 100) is 28 in floating point
    rng = _generator(seed, stream=1)
    train_labels = labels.ravel()[split.train]
    members = [split.train[train_labels == k] for k in np.unique(train_labels)]
    validation = _sorted_ids(
        [rng.permutation(ids)[: math.floor(exact * len(ids))] for ids in members]
    )
    train = np.setdiff1d(split.train, validation)
    remark = f"{len(validation)} of {len(split.train)} training samples are held out to validate."
    return replace(split, train=train, validation=validation, remarks=(*split.remarks, remark))


def count_leakage(split: Split, shape: Sequence[int], patch_size: int) -> int:
    """Counts the test pixels whose patch contains a training or validation pixel.

    Args:
        split: the split.
        shape: (rows, columns, ...) of the scene.
        patch_size: side of the patch, in pixels. The patch of a pixel at row r begins at row
            r - patch_size // 2; likewise for columns.
    """
    seen = np.concatenate([split.train, split.validation])
    return int(np.count_nonzero(_dilate(seen, shape[:2], patch_size)[split.test]))


def class_counts(ids: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts the samples of each class among labelled sample ids, int [num_classes]."""
    return np.bincount(labels.ravel()[ids], minlength=num_classes)


def _generator(seed: int, stream: int = 0) -> np.random.Generator:
    """Named generator: what a seed gives must not change with NumPy's default."""
    return np.random.Generator(np.random.PCG64([seed, stream]))


def _class_members(labels: np.ndarray) -> list[np.ndarray]:
    """Flat pixel ids of each class."""
    flat = labels.ravel()
    return [np.flatnonzero(flat == k) for k in range(flat.max() + 1)]


def _sorted_ids(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.sort(np.concatenate(parts)).astype(np.int32)


def _describer(class_names: Sequence[str] | None):
    """Returns the function that names class k in messages."""
    if class_names is None:
        return lambda k: f"class {k}"
    return lambda k: f"class {k} ({class_names[k]})"


def _listing(which: np.ndarray, counts: np.ndarray, describe) -> str:
    return ", ".join(f"{describe(k)} with {counts[k]}" for k in np.flatnonzero(which))


def _targets(counts: np.ndarray, fraction: float | None, per_class: int | None) -> np.ndarray:
    """Number of training samples wanted in each class."""
    if (fraction is None) == (per_class is None):
        raise InputError(
            f"The training set is given by exactly one of a fraction and a number per class, "
            f"not by fraction={fraction} and per_class={per_class}."
        )
    if per_class is not None:
        if per_class < 1:
            raise InputError(f"{per_class} training samples per class are too few; give 1 or more.")
        return np.full(len(counts), per_class)
    if not 0 < fraction < 1:
        raise InputError(f"A training fraction of {fraction} is not between 0 and 1.")
    return np.array([max(1, min(round(fraction * n), n - 1)) for n in counts.tolist()])


def _block_of_pixel(shape: tuple[int, int], block_size: int) -> np.ndarray:
    """Index of the block in which each flat pixel id lies."""
    rows, columns = shape
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


def _dilate(ids: np.ndarray, shape: Sequence[int], size: int) -> np.ndarray:
    """Returns, per flat pixel id, whether its size x size window contains one of the ids."""
    mask = np.zeros(shape, bool)
    mask.ravel()[ids] = True
    return maximum_filter(mask, size=size, mode="constant", cval=False).ravel()


def _check_disjoint(train, test, labels, counts, describe, guard, block_size) -> None:
    untrained = class_counts(train, labels, len(counts)) == 0
    if untrained.any():
        raise InputError(
            f"Blocks of {block_size} x {block_size} pixels leave no training pixels for "
            f"{_listing(untrained, counts, describe)} labelled pixels; give a smaller block size."
        )
    if not test.size:
        raise InputError(
            f"No test pixels remain with blocks of {block_size} x {block_size} pixels and a guard "
            f"of {guard}; give a smaller block size, guard or training set."
        )


def _coverage_remarks(train, test, labels, counts, describe, targets=None) -> tuple[str, ...]:
    trained = class_counts(train, labels, len(counts))
    tested = class_counts(test, labels, len(counts))
    unused = counts.sum() - trained.sum() - tested.sum()
    remarks = []
    if unused:
        remarks.append(f"{unused} of {counts.sum()} labelled pixels are in no set.")
    for k in range(len(counts)):
        if trained[k] == 0:
            remarks.append(f"{describe(k)} has no training pixels.")
        elif targets is not None and trained[k] < targets[k]:
            remarks.append(f"{describe(k)} trains with {trained[k]} pixels, not {targets[k]}.")
        if tested[k] == 0:
            remarks.append(f"{describe(k)} has no test pixels.")
    return tuple(remarks)


def _read_map(path: str | Path, name: str, labels: np.ndarray) -> np.ndarray:
    """Flat ids of the pixels that the map `name` of a split file contains."""
    values = read_array(path, name, ndim=2)
    if values.shape != labels.shape:
        raise InputError(
            f"`{name}` of {path} has shape {values.shape}, but the scene has {labels.shape}; give "
            f"a split of the same scene."
        )
    if not np.array_equal(values, np.rint(values)):
        raise InputError(f"`{name}` of {path} has values that are not whole numbers.")
    ids = np.flatnonzero(values).astype(np.int32)
    if not ids.size:
        raise InputError(f"`{name}` of {path} is empty: all its values are zero.")
    unlabelled = np.count_nonzero(labels.ravel()[ids] < 0)
    if unlabelled:
        raise InputError(
            f"`{name}` of {path} contains {unlabelled} pixel(s) that the scene's ground truth "
            f"leaves unlabelled; remove them."
        )
    return ids
