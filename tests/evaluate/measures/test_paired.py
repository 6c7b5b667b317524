import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hsi_jax.evaluate.measures.paired import (
    MIN_SEEDS,
    Trial,
    best_method,
    corrected_t_test,
    holm,
    paired_tests,
)
from hsi_jax.evaluate.tables.paired_table import csv_of_tests, markdown_of_tests

FIRST = [0.91, 0.93, 0.90, 0.94, 0.92, 0.95]
SECOND = [0.90, 0.90, 0.91, 0.90, 0.91, 0.91]


def trials(method, accuracies, *, fixed=False):
    return [
        Trial(method, seed, accuracy, 100, 400, f"all {seed}", "test" if fixed else f"test {seed}")
        for seed, accuracy in enumerate(accuracies)
    ]


def test_on_the_same_test_samples_it_is_the_usual_paired_t_test():
    (test,) = paired_tests(trials("a", FIRST, fixed=True) + trials("b", SECOND, fixed=True))
    usual = stats.ttest_rel(FIRST, SECOND)
    assert test.p_value == pytest.approx(usual.pvalue)
    assert test.interval == pytest.approx(tuple(usual.confidence_interval()))


def test_drawn_splits_count_as_if_differences_were_further_apart():
    # The variance of the mean is (1/n + ratio) instead of 1/n times that over seeds.
    (test,) = paired_tests(trials("a", FIRST) + trials("b", SECOND))
    differences = np.subtract(FIRST, SECOND)
    wide = (differences - differences.mean()) * (1 + len(FIRST) * 4) ** 0.5 + differences.mean()
    usual = stats.ttest_1samp(wide, 0)
    assert test.p_value == pytest.approx(usual.pvalue)
    assert test.interval == pytest.approx(tuple(usual.confidence_interval()))
    assert test.differences == pytest.approx(dict(enumerate(differences)))


@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=9).filter(lambda x: np.std(x) > 1e-6),
    st.floats(0, 20),
)
def test_the_interval_holds_zero_where_p_is_large(differences, ratio):
    (low, high), p_value = corrected_t_test(differences, ratio)
    assert 0 <= p_value <= 1
    assert low < np.mean(differences) < high
    if abs(p_value - 0.05) > 1e-6:
        assert (low <= 0 <= high) == (p_value > 0.05)


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_its_steps_reject(p_values, level):
    rejected = set()
    for step, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[number] * (len(p_values) - step) > level:
            break
        rejected.add(number)
    assert {number for number, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_all_pairs_are_corrected_together():
    tests = paired_tests(
        [t for m, a in (("a", FIRST), ("b", SECOND), ("c", FIRST[::-1])) for t in trials(m, a)]
    )
    assert [(test.first, test.second) for test in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [test.adjusted_p_value for test in tests] == holm([t.p_value or 0 for t in tests])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda own: own[: MIN_SEEDS - 1], "few"),
        (lambda own: [replace(t, accuracy=a) for t, a in zip(own, FIRST, strict=True)], "same acc"),
        (
            lambda own: [replace(t, accuracy=a - 0.5) for t, a in zip(own, FIRST, strict=True)],
            "dif",
        ),
        (lambda own: [replace(t, samples="others") for t in own], "other samples"),
        (lambda own: [replace(t, samples="") for t in own], "do not say"),
        (lambda own: [replace(t, seed=t.seed + 100) for t in own], "no seed"),
    ],
)
def test_there_is_no_p_value_where_it_would_mislead(change, word):
    (test,) = paired_tests(trials("a", FIRST) + change(trials("b", SECOND)))
    assert word in test.reason
    assert (test.p_value, test.adjusted_p_value, test.interval) == (None, None, None)
    assert word in markdown_of_tests([test])


def test_tables_of_tests():
    tests = paired_tests(trials("a", FIRST) + trials("b", SECOND) + trials("c", SECOND[:2]))
    first, _, row, short, _ = markdown_of_tests(tests).splitlines()
    assert first.count("|") == row.count("|")
    assert row.startswith("| a - b | 6 | +2.00 | ")
    assert short.startswith("| a - c | 2 | +2.00 | too few seeds: 2 of 5 | - | - |")
    rows = list(csv.DictReader(io.StringIO(csv_of_tests({"x": tests}))))
    assert [(row["protocol"], row["first"], row["n"]) for row in rows] == [
        *(("x", "a", "6"), ("x", "a", "2"), ("x", "b", "2")),
    ]
    assert (float(rows[0]["mean"]), float(rows[0]["p"])) == pytest.approx((0.02, tests[0].p_value))
    assert (rows[1]["p"], rows[1]["reason"]) == ("", "too few seeds: 2 of 5")


def test_the_best_has_the_highest_mean():
    assert best_method(trials("a", [0.5, 0.9]) + trials("b", [0.8, 0.8])) == "b"
