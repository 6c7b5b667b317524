import dataclasses
import math
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.models import MODELS, find_model, options_to_text, parse_options

OWN = "builtins:dict"  # stands for any factory of a user


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("mlp", "", {}),
        ("mlp", " ; ", {}),
        ("mlp", "hidden=(8, 4)", {"hidden": (8, 4)}),
        ("mlp", "hidden=[8, 4]; dropout=0", {"hidden": (8, 4), "dropout": 0}),
        ("hybridsn", "dropout=0.25;flat_features = 7;", {"dropout": 0.25, "flat_features": 7}),
        ("cnn2d", "features=(3, 4, 5)", {"features": (3, 4, 5)}),
        ("resnet20", "stem=medium; dtype=bfloat16", {"stem": "medium", "dtype": "bfloat16"}),
        ("vgg16", "head='dense'; hidden=8", {"head": "dense", "hidden": 8}),
        ("resnet34", "depths=(1, 1, 2, 1)", {"depths": (1, 1, 2, 1)}),
    ],
)
def test_options_are_read(name, text, options):
    assert parse_options(name, text) == options
    find_model(name)(num_classes=2, **options)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("width=3", "features=(8, 16, 32); flat_features=64"),
        ("num_classes=3", "features=(8, 16, 32)"),
        ("hidden", "2 whole numbers"),
        ("hidden=256", "2 whole numbers"),
        ("hidden=(256,)", "2 whole numbers"),
        ("hidden=(256, 0)", "2 whole numbers"),
        ("hidden=(256, 2.5)", "2 whole numbers"),
        ("hidden=(256, True)", "2 whole numbers"),
        ("flat_features=0", "a whole number >= 1, such as 64"),
        ("flat_features=(1, 2)", "a whole number >= 1"),
        ("flat_features=__import__('os')", "a whole number >= 1"),
        (f"flat_features={'(' * 9999}1", "a whole number >= 1"),
        (f"flat_features={'-' * 9999}1", "a whole number >= 1"),
        ("dropout=1", "a number from 0 to below 1, such as 0.4"),
        ("dropout=-0.1", "a number from 0 to below 1"),
        ("hidden=(2, 2); dropout=a", "a number from 0 to below 1"),
        ("dropout={[]: 1}", "a number from 0 to below 1"),
    ],
)
def test_bad_options_are_answered_with_what_is_wanted(text, wanted):
    with pytest.raises(InputError) as caught:
        parse_options("hybridsn", text)
    bad = text.split("; ")[-1]
    assert str(caught.value).startswith(f"`model_options`={bad[:200]!r}")
    assert wanted in str(caught.value)


def test_sizes_given_as_options_are_the_sizes_used():
    module = find_model("mlp")(num_classes=3, **parse_options("mlp", "hidden=(7, 2)"))
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 1, 1, 4)))
    kernels = [leaf.shape for leaf in jax.tree.leaves(shapes) if leaf.ndim == 2]
    assert sorted(kernels) == [(2, 3), (4, 7), (7, 2)]


@pytest.mark.parametrize("value", ["huge", "", "1", "(small)"])
def test_a_word_that_an_option_does_not_take_is_answered_with_those_it_does(value):
    with pytest.raises(InputError) as caught:
        parse_options("resnet18", f"stem={value}")
    assert f"'stem={value}'" in str(caught.value)
    assert "auto, small, medium, large" in str(caught.value)


def values_of(field):
    """Values that an option takes."""
    if isinstance(field.default, str):
        return st.sampled_from(get_args(field.type))
    if isinstance(field.default, float):
        return st.floats(0, 1, exclude_max=True)
    size = st.integers(1, 10**6)
    return st.tuples(*[size] * len(field.default)) if isinstance(field.default, tuple) else size


def options_of(name):
    model: Any = find_model(name)
    fields = {f.name: f for f in dataclasses.fields(model)}
    del fields["num_classes"], fields["parent"], fields["name"]
    return st.fixed_dictionaries({}, optional={key: values_of(f) for key, f in fields.items()})


@given(st.sampled_from(list(MODELS)).flatmap(lambda n: st.tuples(st.just(n), options_of(n))))
def test_options_written_as_text_are_read_again(case):
    name, options = case
    assert parse_options(name, options_to_text(options)) == options


TEXTS = st.text() | st.text("a;='\"\\ \n")
PLAIN = st.none() | st.booleans() | st.integers() | TEXTS | st.binary()
PLAIN |= st.floats(allow_nan=False, allow_infinity=False)
LITERALS = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(PLAIN, inner)
        | st.sets(PLAIN, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.from_regex(r"[^\W\d]\w*", fullmatch=True).filter(
    lambda name: name.isidentifier() and name not in ("num_classes", "parent", "name")
)


@given(st.dictionaries(NAMES, LITERALS, max_size=3))
def test_any_literals_for_a_users_own_model_are_read_again(options):
    assert parse_options(OWN, options_to_text(options)) == options


@pytest.mark.parametrize("value", [math.inf, [math.nan], np.float32(1), jnp.float32, ...])
def test_a_value_that_is_no_literal_is_not_written(value):
    with pytest.raises(InputError, match="sizes="):
        options_to_text({"sizes": value})
