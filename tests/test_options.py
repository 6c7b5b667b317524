"""Options by name and by group, on a class made up here and on that of a run."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from hsi_jax import session
from hsi_jax.errors import InputError
from hsi_jax.options import (
    check_options,
    declared,
    defaults,
    from_values,
    group,
    option,
    values,
    with_values,
)


@dataclass(frozen=True)
class Size:
    """A group."""

    rows: int = option(3, "rows", at_least=1, below=10)
    scale: float | None = option(None, "scale", kind=float, above=0, at_most=2)
    quick: bool = option(False, "quick")

    def __post_init__(self):
        check_options(self)


@dataclass(frozen=True)
class Whole:
    """Options with a group and without."""

    size: Size = group(Size, "Size")
    count: int | str = option(1, "count", kind=int, word="all")
    order: str = option("up", "order", choices=("up", "down"), heading="Order")

    def __post_init__(self):
        check_options(self)


def test_flat_and_nested_are_equal_and_all_names_are_declared():
    flat = from_values(Whole, {"rows": 4, "order": "down"})
    assert flat == Whole(size=Size(rows=4), order="down")
    assert values(flat) == {
        "rows": 4,
        "scale": None,
        "quick": False,
        "count": 1,
        "order": "down",
    }
    assert from_values(Whole, values(flat)) == flat
    assert values(Whole()) == defaults(Whole)
    assert [(each.group, each.heading) for each in declared(Whole)] == [
        *[("size", "Size")] * 3,
        ("", ""),
        ("", "Order"),
    ]


def test_a_change_leaves_the_others_and_is_checked():
    before = Whole(size=Size(rows=4), count="all")
    assert with_values(before, scale=2) == Whole(size=Size(rows=4, scale=2), count="all")
    assert before.size.scale is None
    with pytest.raises(InputError, match="`rows`"):
        with_values(before, rows=0)


@pytest.mark.parametrize("kind", [Whole, session.RunOptions])
def test_a_name_that_is_no_option_is_refused(kind):
    with pytest.raises(InputError, match=f"`rowz`.*{kind.__name__}"):
        from_values(kind, {"rowz": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("rows", value) for value in (0, 10, "3", 3.0, True, None, math.nan)),
        *(("scale", value) for value in (0, 2.1, math.nan, math.inf, "1", True)),
        *(("quick", value) for value in (0, 1, "yes", None)),
        *(("count", value) for value in ("some", 1.0, True)),
        *(("order", value) for value in ("left", None, 1)),
    ],
)
def test_a_value_of_another_type_or_out_of_bounds_is_refused(name, value):
    with pytest.raises(InputError, match=f"`{name}`={value}") as caught:
        from_values(Whole, {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("rows", value) for value in (1, 9, np.int64(2))),
        *(("scale", value) for value in (1e-9, 2, None, np.float32(0.5))),
        *(("quick", value) for value in (True, False)),
        *(("count", value) for value in (5, "all")),
    ],
)
def test_a_value_on_the_edge_is_taken(name, value):
    assert values(from_values(Whole, {name: value}))[name] == value


def test_the_options_of_a_run_by_group_are_those_by_name():
    options = session.RunOptions(
        data=session.DataOptions(components=0),
        split=session.SplitOptions(train_per_class=15),
        model=session.ModelOptions(model="mlp", patch_size=1),
        devices=session.DeviceOptions(profile="2:1"),
    )
    flat = {"components": 0, "train_per_class": 15, "model": "mlp", "patch_size": 1}
    assert session.RunOptions.of(**flat, profile="2:1") == options
    assert session.RunOptions.of(**json.loads(json.dumps(values(options)))) == options
    names = [each.field.name for each in declared(session.RunOptions)]
    assert len(names) == len(set(names))  # else a flag would mean two things
