import re

import pytest

from hsi_jax.errors import InputError
from hsi_jax.launch.slowdown import parse_slowdown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1:3", "give rank:factor:at_step or"),
        ("1:3:4:5:6", "give rank:factor:at_step or"),
        ("a:3:4", "give rank:factor:at_step or"),
        ("1:3:4.5", "give rank:factor:at_step or"),
        ("-1:3:4", "no rank -1; give 0 to 2"),
        ("3:3:4", "no rank 3; give 0 to 2"),
        ("1:0.5:4", "factor 0.5; give one of at least 1"),
        ("1:nan:4", "factor nan"),
        ("1:inf:4", "factor inf"),
        ("1:3:-1", "give steps of at least 0, the second one later"),
        ("1:3:5:5", "give steps of at least 0, the second one later"),
    ],
)
def test_a_slowdown_that_makes_no_sense_is_named(text, message):
    with pytest.raises(InputError, match=re.escape(f"={text}: {message}")):
        parse_slowdown(text, 3)


def test_a_slowdown_holds_from_one_step_until_another():
    slowdown = parse_slowdown("2:3:4:6", 3)
    assert [slowdown.factor_at(step) for step in range(3, 8)] == [1, 3, 3, 1, 1]
    assert parse_slowdown("0:3:4", 3).factor_at(10**9) == 3
