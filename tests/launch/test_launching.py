import pytest

from hsi_jax.cluster import processes
from hsi_jax.launch import launching
from hsi_jax.launch.placement import Placement
from hsi_jax.launch.slowdown import Slowdown


@pytest.mark.parametrize(
    ("fractions", "slowdowns", "expected"),
    [
        ((1, 1), [], 1),
        ((1, 0.1), [], 1),
        ((1, 0.05), [], 2),
        ((1, 0.001), [], 100),
        ((1, 1), [Slowdown(0, 100, 5), Slowdown(1, 4, 5)], 10),
    ],
)
def test_who_has_less_than_a_tenth_of_a_core_is_waited_for_longer(fractions, slowdowns, expected):
    placements = [Placement(core, fraction) for core, fraction in enumerate(fractions)]
    assert launching.patience(placements, slowdowns) == expected


def test_the_processes_are_told_by_the_variable_that_they_read():
    assert launching.PATIENCE == processes.PATIENCE
