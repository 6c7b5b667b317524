"""The table of the study of pretraining, from results that are made up."""

from benchmarks.pretraining import ALL, SCRATCH, WITHOUT_TEST, Result, table
from hsi_jax.evaluate.measures.paired import corrected_t_test

GAINS = {SCRATCH: 0.0, ALL: 0.02, WITHOUT_TEST: -0.01}


def result(variant, seed):
    noise = (0.004, -0.003, 0.001, 0.002, -0.005)[seed] * (variant != SCRATCH)
    oa = 0.6 + 0.01 * seed + GAINS[variant] + noise
    return Result(variant, 0.03, seed, oa, 0.5, 0.4, 300, 9000, f"{seed}", f"test {seed}", 1.0)


def test_a_variant_is_compared_with_training_from_scratch():
    rows = table([result(variant, seed) for seed in range(5) for variant in GAINS]).splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows[2:]]
    assert [row[1] for row in cells] == [SCRATCH, ALL, WITHOUT_TEST]
    assert [row[0] for row in cells] == ["3%, 300"] * 3
    assert cells[0][2] == "62.00 ± 1.58"
    assert [row[4] for row in cells] == ["", "+1.98", "-1.02"]
    gains = [0.02 + noise for noise in (0.004, -0.003, 0.001, 0.002, -0.005)]
    for cell, ratio in ((cells[1][5], 30), (cells[1][6], 0)):
        (low, high), p_value = corrected_t_test(gains, ratio)
        assert cell.startswith(f"{100 * low:+.2f} to {100 * high:+.2f}, {p_value:.3f}")


def test_few_seeds_give_no_test():
    rows = table([result(variant, 0) for variant in GAINS]).splitlines()
    assert "too few seeds: 1 of 5" in rows[3]
