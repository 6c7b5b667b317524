"""Paired tests between methods that were trained and tested on the same samples, seed by seed."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hsi_jax.run.summary import Outcome

MIN_SEEDS = 5  # with fewer the deviation over seeds is a guess, and so is all that follows from it
LEVEL = 0.95  # of the intervals


@dataclass(frozen=True)
class Trial:
    """One run, as a test sees it.

    Attributes:
        method: what is compared: a scheme or a model.
        seed: of the run.
        accuracy: on the test samples, a fraction of 1.
        num_train: samples that took part in training or in choosing the epoch.
        num_test: test samples.
        samples: a digest of all samples of the split, or "" if it is not known.
        test_samples: a digest of the test samples, or "" if it is not known.
    """

    method: str
    seed: int
    accuracy: float
    num_train: int
    num_test: int
    samples: str
    test_samples: str

    @classmethod
    def of_outcome(cls, method: str, seed: int, outcome: Outcome) -> "Trial":
        """A finished run of a method."""
        split = outcome.split
        return cls(
            method,
            seed,
            outcome.overall_accuracy,
            split.counts.get("train", 0) + split.counts.get("validation", 0),
            split.counts.get("test", 0),
            split.digest,
            split.test_digest,
        )


@dataclass(frozen=True)
class PairedTest:
    """The difference between two methods over the seeds that both have.

    Attributes:
        first: a method.
        second: another one.
        differences: accuracy of the first less that of the second, a fraction of 1, by seed.
        interval: of the mean difference, 95 %, for this pair alone; None where `reason` says why.
        p_value: two-sided, that there is no difference, for this pair alone; or None.
        adjusted_p_value: the same after Holm's correction for all pairs; or None.
        reason: why there is no test, or "".
    """

    first: str
    second: str
    differences: dict[int, float]
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    reason: str = ""

    @property
    def mean(self) -> float | None:
        """The mean difference; None without a seed in common."""
        return statistics.fmean(self.differences.values()) if self.differences else None


def paired_tests(trials: Sequence[Trial]) -> list[PairedTest]:
    """Tests all pairs of methods by the corrected resampled t-test, corrected by Holm.

    Splits that are drawn anew for each seed share samples, so the differences of the seeds are not
    independent. Nadeau and Bengio (2003) therefore take a larger variance of their mean: (1/n +
    num_test / num_train) times that over seeds. Where the test samples are the same in all seeds,
    the seeds differ in the training alone, and the test is the usual paired t-test.

    Args:
        trials: of all methods and seeds of one protocol.

    Returns:
        A test of each pair, in the order of the methods' first trials.
    """
    of_method: dict[str, dict[int, Trial]] = {}
    for trial in trials:
        of_method.setdefault(trial.method, {})[trial.seed] = trial
    pairs = itertools.combinations(of_method.values(), 2)
    tests = [_test(first, second) for first, second in pairs]
    known = [test.p_value for test in tests if test.p_value is not None]
    adjusted = iter(holm(known))
    return [
        test if test.p_value is None else replace(test, adjusted_p_value=next(adjusted))
        for test in tests
    ]


def best_method(trials: Sequence[Trial]) -> str:
    """The method of the highest mean accuracy, the first of several."""
    values: dict[str, list[float]] = {}
    for trial in trials:
        values.setdefault(trial.method, []).append(trial.accuracy)
    return max(values, key=lambda method: statistics.fmean(values[method]))


def _test(first: dict[int, Trial], second: dict[int, Trial]) -> PairedTest:
    seeds = [seed for seed in first if seed in second]
    differences = {seed: first[seed].accuracy - second[seed].accuracy for seed in seeds}
    one, other = (next(iter(trials.values())).method for trials in (first, second))
    test = PairedTest(one, other, differences)
    pairs = [(first[seed], second[seed]) for seed in seeds]
    if reason := _obstacle(pairs, list(differences.values())):
        return replace(test, reason=reason)
    own = [trial for trial, _ in pairs]
    ratio = 0.0
    if len({trial.test_samples for trial in own}) > 1:
        ratio = sum(trial.num_test for trial in own) / sum(trial.num_train for trial in own)
    interval, p_value = corrected_t_test(list(differences.values()), ratio)
    return replace(test, interval=interval, p_value=p_value)


def _obstacle(pairs: Sequence[tuple[Trial, Trial]], differences: Sequence[float]) -> str:
    """Why a test would mislead, or nothing."""
    if not pairs:
        return "no seed in common"
    if not all(trial.samples for pair in pairs for trial in pair):
        return "the runs do not say which samples they used"
    if any(one.samples != other.samples for one, other in pairs):
        return "trained or tested on other samples"
    if not any(differences):
        return "the same accuracy in every seed"
    if len(pairs) < MIN_SEEDS:
        return f"too few seeds: {len(pairs)} of {MIN_SEEDS}"
    if np.ptp(differences) < 1e-12:
        return "the same difference in every seed"
    return ""


def corrected_t_test(
    differences: Sequence[float], ratio: float
) -> tuple[tuple[float, float], float]:
    """The corrected resampled t-test of Nadeau and Bengio (2003).

    Args:
        differences: of each seed, 2 or more, not all the same.
        ratio: test samples by training samples; 0 makes it the usual paired t-test.

    Returns:
        The 95 % interval of the mean difference, and the two-sided p-value.
    """
    from scipy.stats import t  # slow to import

    count, mean = len(differences), statistics.fmean(differences)
    error = statistics.stdev(differences) * (1 / count + ratio) ** 0.5
    low, high = t.interval(LEVEL, count - 1, mean, error)
    return (float(low), float(high)), float(2 * t.sf(abs(mean) / error, count - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values after Holm's correction for testing all of them, in the same order."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted.tolist()
