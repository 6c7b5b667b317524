import math
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.launch.placement import place

speeds_of_processes = st.lists(st.floats(0.01, 100), min_size=1, max_size=8)
numbers_of_cores = st.lists(st.integers(0, 63), min_size=1, max_size=6, unique=True)


def loads(placements):
    """The sum of fractions on each core that is used."""
    sums = defaultdict(float)
    for placement in placements:
        sums[placement.core] += placement.fraction
    return sums


@given(speeds_of_processes, numbers_of_cores)
def test_fractions_are_proportional_and_fit(speeds, cores):
    placements = place(speeds, cores)
    fractions = [placement.fraction for placement in placements]
    assert [f / max(fractions) for f in fractions] == pytest.approx(
        [speed / max(speeds) for speed in speeds]
    )
    assert set(loads(placements)) <= set(cores)
    assert max(loads(placements).values()) <= 1 + 1e-8


@given(speeds_of_processes, numbers_of_cores)
def test_no_core_time_is_wasted(speeds, cores):
    placements = place(speeds, cores)
    # Either the fastest has a whole core, or the fullest core is full.
    assert max(loads(placements).values()) == pytest.approx(1)
    # Any first-fit packing with a capacity of 2 - 1/cores times the optimum succeeds.
    least_scale = min(1.0, len(cores) / sum(speed / max(speeds) for speed in speeds))
    assert max(p.fraction for p in placements) >= least_scale / 2


@given(speeds_of_processes)
def test_the_fastest_has_a_whole_core_where_there_is_one_for_each(speeds):
    placements = place(speeds, range(len(speeds)))
    assert max(placement.fraction for placement in placements) == pytest.approx(1)


@pytest.mark.parametrize(
    ("speeds", "cores", "expected"),
    [
        ((2, 1, 1), (0, 1), [(0, 1), (1, 0.5), (1, 0.5)]),
        ((1, 1, 2), (3, 7), [(7, 0.5), (7, 0.5), (3, 1)]),
        ((2, 1, 1), (4,), [(4, 0.5), (4, 0.25), (4, 0.25)]),
        ((8, 4, 2, 1, 1), (0, 1), [(0, 1), (1, 0.5), (1, 0.25), (1, 0.125), (1, 0.125)]),
        ((1, 1, 1), (0, 1), [(0, 0.5), (0, 0.5), (1, 0.5)]),
        ((3, 1, 1, 1), (0, 1), [(0, 1), (1, 1 / 3), (1, 1 / 3), (1, 1 / 3)]),
        ((5,), (2, 3), [(2, 1)]),
        # Largest load first would leave 7/6 on one core: first fit finds 3 + 3 and 2 + 2 + 2.
        ((6, 3, 3, 2, 2, 2), (0, 1, 2), [(0, 1), (1, 0.5), (1, 0.5), *[(2, 1 / 3)] * 3]),
    ],
)
def test_placements_worked_by_hand(speeds, cores, expected):
    placements = place(speeds, cores)
    assert [placement.core for placement in placements] == [core for core, _ in expected]
    assert [p.fraction for p in placements] == pytest.approx([f for _, f in expected])


@pytest.mark.parametrize(
    ("speeds", "cores", "message"),
    [
        ((1, 0), (0,), "speed 0"),
        ((1, -2), (0,), "speed -2"),
        ((1, math.nan), (0,), "speed nan"),
        ((1, math.inf), (0,), "speed inf"),
        ((), (0,), "0 processes"),
        ((1,), (), "0 cores"),
    ],
)
def test_what_cannot_be_placed_is_named(speeds, cores, message):
    with pytest.raises(InputError, match=message):
        place(speeds, cores)
