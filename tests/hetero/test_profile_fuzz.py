"""Damaged and absurd profiles: a right profile or an InputError that names the file."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.hetero.plan import make_plan
from hsi_jax.hetero.profile import Profile, read_profile
from hsi_jax.hetero.scheme import SCHEMES
from tests.field.fuzz import damage

SOUND = json.dumps(
    {
        "time_unit": "s",
        "devices": [
            {"name": "node0 0", "speed": 812.25, "fixed_cost": 0.00125, "memory_cap": None},
            {"name": "node1 1", "speed": 97, "fixed_cost": 0.0, "memory_cap": 4096},
        ],
    },
    indent=2,
).encode()

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
entries = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("name", "speed", "fixed_cost", "memory_cap", "other"), values)
)
contents = st.fixed_dictionaries(
    {}, optional={"time_unit": values, "devices": values | st.lists(values | entries, max_size=4)}
)


def check(path):
    """Reads it; what can be read can be used and told."""
    profile, message = None, ""
    try:
        profile = read_profile(path)
    except InputError as error:
        message = str(error)
    if profile is None:
        assert str(path) in message
        assert message.isprintable()
        return
    assert isinstance(profile, Profile)
    assert all(math.isfinite(t) for t in profile.times([int(s > 0) for s in profile.speeds]))
    f"{profile.names[0]:<16}{profile.time_unit}".encode()
    json.dumps(profile.to_json(), allow_nan=False)
    for scheme in SCHEMES:
        try:
            plan = make_plan(scheme, profile, batch_size=50, microbatch_size=7)
        except InputError:  # memory caps
            continue
        assert sum(plan.counts) == 50
        assert sum(plan.weights) == pytest.approx(1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=300)
def test_a_damaged_file(tmp_path_factory, seed):
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(damage(SOUND, np.random.default_rng(seed)))
    check(path)


@given(values | contents)
@settings(max_examples=300)
def test_any_json(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    check(path)


@pytest.mark.parametrize(
    ("content", "names_it"),
    [
        (b"[" * 100_000, "is not a JSON file"),
        (b'{"devices": ' * 100_000, "is not a JSON file"),
        (b"\xff\xfe{}", "is not a JSON file"),
        (b"\0" * 5000, "is not a JSON file"),
        (b'{"devices": [{"speed": 1' + b"0" * 5000 + b"}]}", "is not a JSON file"),
        (b'{"devices": [{"speed": 1' + b"0" * 400 + b"}]}", "give at most 1e"),
        (b'{"devices": [{"speed": 1e400}]}', "give a finite number"),
        (b'{"devices": [{"speed": 5e-324}]}', "give 0, or 1e-30 and more"),
        (b'{"devices": [{"speed": 1, "name": null}]}', "name of a device is None"),
        (b'{"devices": [{"speed": 1, "name": "\\ud800"}]}', "give a line of text"),
        (b'{"devices": [{"speed": 1, "name": "a\\nb"}]}', "give a line of text"),
        (b'{"devices": [{"speed": 1}], "time_unit": ["s"]}', "time_unit is \\['s'\\]"),
        (b'{"devices": {"speed": 1}}', "is not of the form"),
        (b"null", "is not of the form"),
        (b"0" * (17 * 2**20), "more than 16777216 bytes"),
    ],
)
def test_what_an_attacker_would_write(content, names_it, tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=names_it) as caught:
        read_profile(path)
    assert str(path) in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="no device files")
def test_what_is_no_file_is_not_read_for_ever(tmp_path):
    for path in ("/dev/zero", tmp_path):
        with pytest.raises(InputError, match="cannot be read: it is not a file"):
            read_profile(path)
