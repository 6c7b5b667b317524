"""Validation samples, held out of the training part in the way in which the test is held out."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from hsi_jax.data.splits.distance import dilate
from hsi_jax.data.splits.split import (
    NO_IDS,
    Split,
    class_counts,
    draw_samples,
    seeded_generator,
)
from hsi_jax.errors import InputError

_NUM_DRAWS = 20
_MOST = 0.5  # of the training samples of a class, that validation may take or that it may cost


def hold_out(split: Split, labels: np.ndarray, validation_fraction: float, seed: int) -> Split:
    """Moves a part of the training samples of each class to validation.

    Of a split whose blocks or polygons stay whole (`Split.groups`), whole ones move, as near to the
    fraction as they allow: no class loses more than half of its training samples. Those of their
    samples that lie within the guard of a training sample are left out. Where no group can move,
    nothing is held out. Of any other split, samples move at random. `Split.remarks` says what was
    done.

    Args:
        split: a split without validation samples.
        labels: int [rows, columns] or [n], class index or -1.
        validation_fraction: part f of the n_c training samples of each class, 0 <= f < 1;
            floor(f * n_c) are moved at random, so that a class never loses its last one. 0 returns
            the split unchanged.
        seed: seed of the draw, 0 or more.

    Raises:
        InputError: if validation_fraction is out of range or the split already has validation
            samples.
    """
    if not 0 <= validation_fraction < 1:
        raise InputError(f"`validation_fraction`={validation_fraction}: give 0 or more, below 1")
    if validation_fraction == 0:
        return split
    if split.validation.size:
        raise InputError(
            f"The split already has {split.validation.size} validation samples, so leave out "
            f"`validation_fraction`."
        )
    exact = Fraction(str(validation_fraction))  # floor(0.29 * 100) is 28 in floating point
    train_labels = labels.ravel()[split.train]
    classes = np.unique(train_labels)
    members = [split.train[train_labels == k] for k in classes]
    counts = np.array([math.floor(exact * len(ids)) for ids in members])
    rng = seeded_generator(seed, stream=1)
    if split.groups is not None:
        wanted = np.zeros(labels.max() + 1, int)
        wanted[classes] = counts
        return _hold_out_groups(split, split.groups, labels, wanted=wanted, rng=rng)
    validation = draw_samples(members, counts, rng)
    train = np.setdiff1d(split.train, validation)
    remark = f"{len(validation)} of {len(split.train)} training samples are held out to validate."
    return replace(split, train=train, validation=validation, remarks=(*split.remarks, remark))


def _hold_out_groups(
    split: Split,
    groups: np.ndarray,
    labels: np.ndarray,
    *,
    wanted: np.ndarray,
    rng: np.random.Generator,
) -> Split:
    """Moves whole groups; of several draws, the one that misses the least of each class."""
    own = groups[split.train]
    numbers, index = np.unique(own, return_inverse=True)
    inside = np.zeros((len(numbers), len(wanted)), int)
    np.add.at(inside, (index, labels.ravel()[split.train]), 1)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        held = _choose_groups(inside, wanted, rng)[index]
        train, validation = split.train[~held], split.train[held]
        near = dilate(train, labels.shape, 2 * split.guard + 1) if split.guard else None
        return train, (validation if near is None else validation[~near[validation]])

    def defects(sets: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
        held = class_counts(sets[1], labels, len(wanted))
        return int(np.sum((wanted > 0) & (held == 0))), int(np.abs(held - wanted).sum())

    train, validation = min((draw() for _ in range(_NUM_DRAWS)), key=defects)
    if not validation.size:
        remark = (
            "There are too few blocks, polygons or scenes to hold some out: there are no "
            "validation samples, and all training samples train."
        )
        return replace(split, validation=NO_IDS, remarks=(*split.remarks, remark))
    lost = len(split.train) - len(train) - len(validation)
    lacking = defects((train, validation))[0]
    whole = f"{len(np.unique(groups[validation]))} whole blocks, polygons or scenes"
    remarks = (
        *split.remarks,
        f"{len(validation)} of {len(split.train)} training samples, in {whole}, validate.",
        *([f"{lost} others near the training samples are in no set."] if lost else []),
        *([f"Classes without validation samples: {lacking}."] if lacking else []),
    )
    return replace(split, train=train, validation=validation, remarks=remarks)


def _choose_groups(inside: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which groups are held out, bool [groups].

    Args:
        inside: training samples of each group and class, [groups, C].
        wanted: samples of each class to hold out, [C].
        rng: of the draw.
    """
    held = np.zeros(len(inside), bool)
    most = np.floor(_MOST * inside.sum(0))
    for k in np.argsort(inside.sum(0), kind="stable"):
        for group in rng.permutation(np.flatnonzero((inside[:, k] > 0) & ~held)):
            if inside[held, k].sum() >= wanted[k]:
                break
            if (inside[held].sum(0) + inside[group] <= most).all():
                held[group] = True
    return held
