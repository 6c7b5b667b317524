"""Sets of classes with a promise: a set holds the true class in, say, 90 % of the cases.

Split conformal prediction with a threshold for each class (Mondrian): Vovk, Gammerman and Shafer,
"Algorithmic Learning in a Random World", 2005; Sadinle, Lei and Wasserman, "Least Ambiguous
Set-Valued Classifiers With Bounded Error Levels", JASA 114, 2019,
https://doi.org/10.1080/01621459.2017.1395341. A class is in the set where its probability is at
least its threshold. The promise holds for pixels that could change places with those that the
thresholds come from; neighbours could not.
"""

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.run.class_sets import SetCoverage

DRAWS = 20


def class_thresholds(probabilities: np.ndarray, truth: np.ndarray, level: float) -> np.ndarray:
    """The least probability of each class with which it is taken into a set.

    Of the n probabilities that a model gives the true class of that class's samples, the
    floor((n + 1) (1 - level))-th lowest.

    Args:
        probabilities: of samples that were not learnt from, [n, C].
        truth: their classes, int [n].
        level: wanted part of the samples of each class whose set holds it, such as 0.9.

    Returns:
        float64 [C]; 0, so that the class is in every set, where a class has too few samples for
        the promise.

    Raises:
        InputError: if the level is not between 0 and 1, or arrays do not fit.
    """
    if not 0 < level < 1:
        raise InputError(f"`conformal`={level}: give a number between 0 and 1, such as 0.9")
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1]:
        raise InputError(
            f"`probabilities` has shape {probabilities.shape} and `truth` {truth.shape}; give one "
            f"class for each row"
        )
    thresholds = np.zeros(probabilities.shape[1])
    for k in range(len(thresholds)):
        own = np.sort(probabilities[truth == k, k].astype(np.float64))
        # Decimal fractions such as 0.9 are not exact: 10 * (1 - 0.9) must count as 1.
        rank = int(np.floor((len(own) + 1) * (1 - level) + 1e-9))
        if rank >= 1:
            thresholds[k] = own[rank - 1]
    return thresholds


def class_sets(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The classes in each set, bool of the shape of the probabilities, [..., C]."""
    return probabilities >= thresholds


def coverage(sets: np.ndarray, truth: np.ndarray) -> float:
    """The part of the samples whose set holds their class.

    Args:
        sets: bool [n, C].
        truth: int [n], n >= 1.
    """
    return float(sets[np.arange(len(truth)), truth].mean())


def measure_coverage(
    probabilities: np.ndarray, truth: np.ndarray, groups: np.ndarray, *, level: float
) -> SetCoverage:
    """What sets hold of samples that their thresholds do not come from.

    Groups of samples are drawn into two halves `DRAWS` times: thresholds come from one half, and
    the sets of the other are looked at.

    Args:
        probabilities: of samples that were not learnt from, [n, C].
        truth: their classes, int [n].
        groups: that stay whole, int [n]; the samples' numbers for a draw one by one.
        level: as of `class_thresholds`.

    Raises:
        InputError: if there are fewer than two groups; or as `class_thresholds`.
    """
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError("there are fewer than two groups of samples; coverage needs two or more")
    rng, classes = np.random.default_rng(0), probabilities.shape[1]
    held, tested, sizes = np.zeros(classes), np.zeros(classes), []
    for _ in range(DRAWS):
        first = rng.permutation(len(names)) < len(names) // 2
        given = first[members]
        sets = class_sets(
            probabilities[~given], class_thresholds(probabilities[given], truth[given], level)
        )
        own = truth[~given]
        held += np.bincount(own, sets[np.arange(len(own)), own], classes)
        tested += np.bincount(own, minlength=classes)
        sizes.append(sets.sum(1).mean())
    known = tested > 0
    return SetCoverage(
        coverage=float(held.sum() / tested.sum()),
        lowest_class=float((held[known] / tested[known]).min()),
        mean_size=float(np.mean(sizes)),
    )
