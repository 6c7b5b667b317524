"""Areas with intervals: the worked example of the paper, coverage by simulation, and edges."""

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.areas import estimate_areas

# Olofsson et al. 2014, section 5: table 8 (rows are the map), pixels of 30 m.
PAPER = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
MAPPED = np.array([200_000, 150_000, 3_200_000, 6_450_000])
HECTARES = 0.09


def test_the_example_of_the_paper():
    found = estimate_areas(PAPER.T, MAPPED)
    areas = [(one.pixels * HECTARES, one.pixels_half_width * HECTARES) for one in found.classes]
    expected = [(21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_282)]
    np.testing.assert_allclose(areas, expected, rtol=2e-4)  # the paper rounds proportions
    users = [(one.users_accuracy, one.users_half_width) for one in found.classes]
    np.testing.assert_allclose(
        users, [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)], atol=0.005
    )
    producers = [one.producers_accuracy for one in found.classes]
    np.testing.assert_allclose(producers, [0.75, 0.85, 0.93, 0.96], atol=0.005)
    assert found.classes[0].producers_half_width == pytest.approx(0.21, abs=0.005)
    assert found.overall_accuracy == pytest.approx(0.95, abs=0.005)
    assert found.overall_half_width == pytest.approx(0.02, abs=0.005)
    assert sum(one.pixels for one in found.classes) == pytest.approx(MAPPED.sum())
    assert [one.tested for one in found.classes] == [75, 75, 165, 325]


TRUTH_OF_MAP = np.array([[0.85, 0.10, 0.05], [0.06, 0.90, 0.04], [0.02, 0.08, 0.90]])
PIXELS = np.array([20_000, 30_000, 50_000])
SAMPLE = (200, 300, 500)


def draw(rng):
    rows = [rng.multinomial(n, p) for n, p in zip(SAMPLE, TRUTH_OF_MAP, strict=True)]
    return estimate_areas(np.array(rows).T, PIXELS)


def test_intervals_hold_in_95_of_100_samples():
    rng = np.random.default_rng(0)
    areas = PIXELS @ TRUTH_OF_MAP
    users = TRUTH_OF_MAP.diagonal()
    truth = [*areas, *users, *(PIXELS * users / areas), PIXELS @ users / PIXELS.sum()]
    held = []
    for _ in range(1000):
        found = draw(rng)
        estimates = [
            *((one.pixels, one.pixels_half_width) for one in found.classes),
            *((one.users_accuracy, one.users_half_width) for one in found.classes),
            *((one.producers_accuracy, one.producers_half_width) for one in found.classes),
            (found.overall_accuracy, found.overall_half_width),
        ]
        values, half_widths = np.array(estimates).T
        held.append(np.abs(values - truth) <= half_widths)
    coverage = np.mean(held, axis=0)
    # Three deviations of a fraction of 1,000, and what the normal approximation misses.
    np.testing.assert_allclose(coverage, 0.95, atol=0.02)


def test_a_perfect_map_has_its_own_areas():
    found = estimate_areas(np.diag([5, 7]), [100, 300])
    assert [one.pixels for one in found.classes] == [100, 300]
    assert [one.pixels_half_width for one in found.classes] == [0, 0]
    assert found.overall_accuracy == 1


def test_a_class_that_is_nowhere_in_the_map_has_no_users_accuracy():
    found = estimate_areas([[8, 0, 0], [0, 9, 0], [2, 1, 0]], [100, 100, 0])
    absent = found.classes[2]
    assert absent.users_accuracy is None
    assert absent.users_half_width is None
    assert absent.producers_accuracy == 0
    assert absent.pixels == pytest.approx(100 * 0.2 + 100 * 0.1)


def test_a_class_without_test_pixels_of_it_has_no_producers_accuracy():
    found = estimate_areas([[5, 2], [0, 0]], [100, 50])
    assert found.classes[1].producers_accuracy is None
    assert found.classes[1].users_accuracy == 0


@pytest.mark.parametrize(
    ("confusion", "mapped", "words"),
    [
        ([[5, 0], [0, 1]], [10, 10], r"1 \(1\)"),
        ([[5, 0], [0, 0]], [10, 10], r"1 \(0\)"),
        ([[5, 0], [0, 2]], [0, 0], "counts no pixel"),
    ],
)
def test_what_cannot_be_estimated_is_refused(confusion, mapped, words):
    with pytest.raises(InputError, match=words):
        estimate_areas(confusion, mapped)
