"""Which labelled samples, pixels of a scene or images of a set, train, validate and test."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
        validation: as `train`.
        test: as `train`.
        remarks: every exception to the rule, one sentence each, for the report.
        groups: number of the block or polygon of every sample, int [n], where these stay whole; or
            None.
        guard: pixels by which the sets are kept apart.
    """

    kind: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    remarks: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    guard: int = 0


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


def class_counts(ids: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts the samples of each class among labelled sample ids, int [num_classes]."""
    return np.bincount(labels.ravel()[ids], minlength=num_classes)


def digest_of_samples(*sets: np.ndarray) -> str:
    """A short text that differs where the sample ids of some sets do."""
    parts = [str(len(ids)).encode() + ids.astype("<i4").tobytes() for ids in sets]
    return hashlib.sha256(b";".join(parts)).hexdigest()[:16]


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
        self,
        train: np.ndarray,
        test: np.ndarray,
        targets: np.ndarray | None = None,
        *,
        beside: np.ndarray = NO_IDS,
    ) -> tuple[str, ...]:
        """Remarks on pixels in no set, and on classes that a set lacks or has too few of.

        Args:
            train: ids of the training pixels.
            test: ids of the test pixels.
            targets: training pixels wanted in each class, int [C], or None.
            beside: ids of other pixels that are used.
        """
        counts = self.counts
        trained, tested = (class_counts(ids, self.labels, len(counts)) for ids in (train, test))
        unused = counts.sum() - trained.sum() - tested.sum() - len(beside)
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
    """A generator of a named kind: NumPy's default may change, what a seed gives must not.

    Raises:
        InputError: if the seed is negative.
    """
    if seed < 0:
        raise InputError(f"`seed`={seed}: give 0 or more")
    return np.random.Generator(np.random.PCG64([seed, stream]))


def draw_samples(
    members: Sequence[np.ndarray], counts: Sequence[int] | np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws counts[k] of the ids members[k] of each class k; int32, increasing."""
    drawn = [rng.permutation(ids)[:n] for ids, n in zip(members, counts, strict=True)]
    return np.sort(np.concatenate(drawn)).astype(np.int32)
