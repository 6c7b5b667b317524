"""Which labelled samples, pixels of a scene or images of a set, train, validate and test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from hsi_jax.data.files.reader import read_array
from hsi_jax.errors import InputError

NO_IDS = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Split:
    """A division of labelled samples; samples in none of the three sets are unused.

    Attributes:
        kind: how it was made: "random", "disjoint", "polygons" or "file", or "official" if it comes
            with an image set.
        train: int32 sample ids, increasing. The id of an image is its number, the id of a pixel
            is row * columns + column.
        validation: likewise.
        test: likewise.
        remarks: every exception to the rule, one sentence each, for the report.
    """

    kind: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    remarks: tuple[str, ...] = ()


def random_split(
    labels: np.ndarray,
    seed: int,
    *,
    train_fraction: float | None = None,
    train_per_class: int | None = None,
    small_classes: str = "error",
    class_names: Sequence[str] | None = None,
) -> Split:
    """Draws training samples at random in every class; all other labelled samples test.

    This is the usual protocol of the field. In a scene, test pixels have training pixels next to
    them, which flatters models that look at patches: see `disjoint_split` and `count_leakage`.

    Args:
        labels: int [rows, columns] of a scene or [n] of images, class index or -1.
        seed: seed of the draw, 0 or more.
        train_fraction: part f of each class that trains: round(f * N_c), but min 1 and max
            N_c - 1 samples of a class of N_c. Give either this or train_per_class.
        train_per_class: number of training samples in each class.
        small_classes: what to do with classes of train_per_class samples or fewer: "error", or
            "half" to train with half of them.
        class_names: for messages.

    Raises:
        InputError: if an argument is out of range, if not exactly one of train_fraction and
            train_per_class is given, or if a class has too few labelled samples.
    """
    if small_classes not in ("error", "half"):
        raise InputError(f"`small_classes`={small_classes}: choose error or half")
    classes = LabelledClasses.of(labels, class_names)
    counts = classes.counts
    targets = classes.training_targets(train_fraction, train_per_class)
    if (counts < 2).any():
        raise InputError(
            f"{classes.listing(counts < 2)}: a class needs at least 2 labelled samples, one to "
            f"train and one to test; label more or drop the class."
        )
    small = targets >= counts
    if small.any() and small_classes == "error":
        raise InputError(
            f"`train_per_class`={train_per_class} leaves no test samples in "
            f"{classes.listing(small)}; give a smaller number, or `small_classes`=half, which "
            f"trains with half of the samples of such a class."
        )
    remarks = []
    for k in np.flatnonzero(small).tolist():
        targets[k] = counts[k] // 2
        remarks.append(
            f"{classes.describe(k)} has only {counts[k]} labelled samples: half of them, "
            f"{targets[k]}, train instead of {train_per_class}."
        )
    train = draw_samples(classes.members, targets, seeded_generator(seed))
    test = np.setdiff1d(np.concatenate(classes.members), train).astype(np.int32)
    return Split("random", train, NO_IDS, test, tuple(remarks))


def file_split(
    path: str | Path,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    nodata: np.ndarray | None = None,
) -> Split:
    """Reads a split that somebody else defined.

    Args:
        path: .npz or .mat file with two maps, `train` and `test`, of the scene's rows and columns,
            boolean or whole numbers; non-zero means that the pixel belongs to the set.
        labels: int [rows, columns], class index or -1.
        class_names: for messages.
        nodata: bool [rows, columns], pixels without data, which are left out; or None.

    Raises:
        InputError: if a map is missing, empty or of another shape or type, if the maps overlap, or
            if they contain unlabelled pixels.
    """
    train, left_out = _read_ids(path, "train", labels, nodata)
    test, more = _read_ids(path, "test", labels, nodata)
    overlap = np.intersect1d(train, test).size
    if overlap:
        raise InputError(
            f"{overlap} pixel(s) are in both `train` and `test` of {path}; remove them from one."
        )
    remarks = LabelledClasses.of(labels, class_names).coverage_remarks(train, test)
    if left_out + more:
        remarks = (f"{left_out + more} pixels of the split have no data.", *remarks)
    return Split("file", train, NO_IDS, test, remarks)


def hold_out(split: Split, labels: np.ndarray, validation_fraction: float, seed: int) -> Split:
    """Moves a random part of the training samples of each class to validation.

    Args:
        split: a split without validation samples.
        labels: int [rows, columns] or [n], class index or -1.
        validation_fraction: part f of the n_c training samples of each class, 0 <= f < 1;
            floor(f * n_c) are moved, so that a class never loses its last one. 0 returns the
            split unchanged.
        seed: seed of the draw, 0 or more.

    Raises:
        InputError: if validation_fraction is out of range or the split already has validation
            samples.
    """
    if not 0 <= validation_fraction < 1:
        raise InputError(f"`validation_fraction`={validation_fraction}: give 0 or more, below 1")
    if split.validation.size:
        raise InputError(
            f"The split already has {split.validation.size} validation samples; hold out only once."
        )
    if validation_fraction == 0:
        return split
    exact = Fraction(str(validation_fraction))  # floor(0.29 * 100) is 28 in floating point
    train_labels = labels.ravel()[split.train]
    members = [split.train[train_labels == k] for k in np.unique(train_labels)]
    counts = [math.floor(exact * len(ids)) for ids in members]
    validation = draw_samples(members, counts, seeded_generator(seed, stream=1))
    train = np.setdiff1d(split.train, validation)
    remark = f"{len(validation)} of {len(split.train)} training samples are held out to validate."
    return replace(split, train=train, validation=validation, remarks=(*split.remarks, remark))


def class_counts(ids: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts the samples of each class among labelled sample ids, int [num_classes]."""
    return np.bincount(labels.ravel()[ids], minlength=num_classes)


@dataclass(frozen=True, eq=False)
class LabelledClasses:
    """The labelled samples by class, to draw from and to describe in messages.

    Attributes:
        labels: int, of any shape, class index 0..C-1 or -1.
        members: the sample ids of each class, increasing; C arrays.
        names: C names, or None.
    """

    labels: np.ndarray
    members: list[np.ndarray]
    names: Sequence[str] | None

    @classmethod
    def of(cls, labels: np.ndarray, names: Sequence[str] | None) -> "LabelledClasses":
        """Finds the samples of each class."""
        flat = labels.ravel()
        members = [np.flatnonzero(flat == k) for k in range(flat.max() + 1)]
        return cls(labels, members, names)

    @property
    def counts(self) -> np.ndarray:
        """Number of samples of each class, int [C]."""
        return np.array([len(ids) for ids in self.members])

    def describe(self, k: int) -> str:
        """What messages call class k."""
        return f"class {k}" if self.names is None else f"class {k} ({self.names[k]})"

    def listing(self, which: np.ndarray) -> str:
        """Lists some classes with their counts; `which` is bool [C]."""
        counts = self.counts
        return ", ".join(
            f"{self.describe(k)} with {counts[k]}" for k in np.flatnonzero(which).tolist()
        )

    def training_targets(
        self, train_fraction: float | None, train_per_class: int | None
    ) -> np.ndarray:
        """Number of training samples wanted in each class, int [C]; see `random_split`.

        Raises:
            InputError: if not exactly one argument is given, or if it is out of range.
        """
        if train_per_class is not None and train_fraction is None:
            if train_per_class < 1:
                raise InputError(f"`train_per_class`={train_per_class}: give 1 or more")
            return np.full(len(self.members), train_per_class)
        if train_fraction is None or train_per_class is not None:
            raise InputError("Give exactly one of `train_fraction` and `train_per_class`.")
        if not 0 < train_fraction < 1:
            raise InputError(f"`train_fraction`={train_fraction}: give a number between 0 and 1")
        counts = [len(ids) for ids in self.members]
        return np.array([max(1, min(round(train_fraction * n), n - 1)) for n in counts])

    def coverage_remarks(
        self, train: np.ndarray, test: np.ndarray, targets: np.ndarray | None = None
    ) -> tuple[str, ...]:
        """Remarks on pixels in no set, and on classes that a set lacks or has too few of.

        Args:
            train: ids of the training pixels.
            test: ids of the test pixels.
            targets: training pixels wanted in each class, int [C], or None.
        """
        counts = self.counts
        trained, tested = (class_counts(ids, self.labels, len(counts)) for ids in (train, test))
        unused = counts.sum() - trained.sum() - tested.sum()
        remarks = []
        if unused:
            remarks.append(f"{unused} of {counts.sum()} labelled pixels are in no set.")
        for k in range(len(counts)):
            name = self.describe(k)
            if trained[k] == 0:
                remarks.append(f"{name} has no training pixels.")
            elif targets is not None and trained[k] < targets[k]:
                remarks.append(f"{name} trains with {trained[k]} pixels, not {targets[k]}.")
            if tested[k] == 0:
                remarks.append(f"{name} has no test pixels.")
        return tuple(remarks)


def seeded_generator(seed: int, stream: int = 0) -> np.random.Generator:
    """A generator of a named kind: NumPy's default may change, what a seed gives must not."""
    return np.random.Generator(np.random.PCG64([seed, stream]))


def draw_samples(
    members: Sequence[np.ndarray], counts: Sequence[int] | np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws counts[k] of the ids members[k] of each class k; int32, increasing."""
    drawn = [rng.permutation(ids)[:n] for ids, n in zip(members, counts, strict=True)]
    return np.sort(np.concatenate(drawn)).astype(np.int32)


def read_split_map(path: str | Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Reads the map `name` of a split that somebody else defined, of a scene of this shape.

    Returns:
        Whole numbers (of any dtype) or bool, [rows, columns]; at least one is not zero.

    Raises:
        InputError: if it is missing, empty or of another shape or type.
    """
    values = read_array(path, name, ndim=2)
    if values.shape != shape:
        raise InputError(
            f"`{name}` of {path} has shape {values.shape}, but the scene has {shape}; give "
            f"a split of the same scene."
        )
    if not np.array_equal(values, np.rint(values)):
        raise InputError(f"`{name}` of {path} has values that are not whole numbers.")
    if not values.any():
        raise InputError(f"`{name}` of {path} is empty: all its values are zero.")
    return values


def _read_ids(
    path: str | Path, name: str, labels: np.ndarray, nodata: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Flat ids of the pixels that a map contains, and how many others have no data."""
    ids = np.flatnonzero(read_split_map(path, name, labels.shape)).astype(np.int32)
    kept = ids if nodata is None else ids[~nodata.ravel()[ids]]
    unlabelled = np.count_nonzero(labels.ravel()[kept] < 0)
    if unlabelled:
        raise InputError(
            f"`{name}` of {path} contains {unlabelled} pixel(s) that the scene's ground truth "
            f"leaves unlabelled; remove them."
        )
    return kept, len(ids) - len(kept)
