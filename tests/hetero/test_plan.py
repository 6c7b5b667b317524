import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.hetero.plan import make_plan
from hsi_jax.hetero.profile import Device, Profile, parse_profile
from hsi_jax.hetero.scheme import SCHEMES

PROFILES = ("1", "1:1:1:1", "4:2:1:1", "7:0.5:0.5:0", "16:1:1:1", "0:3:1")


@pytest.mark.parametrize(
    ("scheme", "counts", "weights"),
    [
        # 10 microbatches of 16; the last one holds 6 samples.
        ("balanced", (96, 32, 16, 6), (96 / 150, 32 / 150, 16 / 150, 6 / 150)),
        ("speed", (96, 32, 16, 6), (4 / 8, 2 / 8, 1 / 8, 1 / 8)),
        ("uniform", (96, 32, 16, 6), (1 / 4, 1 / 4, 1 / 4, 1 / 4)),
        ("even", (48, 48, 32, 22), (1 / 4, 1 / 4, 1 / 4, 1 / 4)),
    ],
)
def test_weights_by_the_formula_of_each_scheme(scheme, counts, weights):
    plan = make_plan(scheme, parse_profile("4:2:1:1"), batch_size=150, microbatch_size=16)
    assert plan.microbatches == 10
    assert plan.counts == counts
    np.testing.assert_allclose(plan.weights, weights, rtol=1e-15)
    np.testing.assert_allclose(plan.sample_weights, np.array(weights) / np.array(counts), rtol=1e-7)


@given(
    scheme=st.sampled_from(list(SCHEMES)),
    text=st.sampled_from(PROFILES),
    batch_size=st.integers(1, 200),
    microbatch_size=st.integers(1, 40),
)
def test_every_plan_adds_up(scheme, text, batch_size, microbatch_size):
    plan = make_plan(scheme, parse_profile(text), batch_size, microbatch_size)
    assert sum(plan.counts) == batch_size
    assert plan.microbatches == -(-batch_size // microbatch_size)
    padding = np.array(plan.shares) * microbatch_size - plan.counts
    assert (padding >= 0).all()
    assert padding.sum() < microbatch_size
    assert (np.array(plan.counts)[np.array(plan.shares) > 0] > 0).all()
    assert sum(plan.weights) == pytest.approx(1, abs=1e-15)
    assert plan.sample_weights.dtype == np.float32
    np.testing.assert_allclose(plan.sample_weights @ np.array(plan.counts), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "counts"),
    [
        (1, (1, 0)),
        (15, (15, 0)),
        (16, (16, 0)),
        (17, (17, 0)),
        (33, (32, 1)),
        (47, (32, 15)),
        (48, (32, 16)),
    ],
)
def test_only_the_last_microbatch_of_the_batch_is_partial(batch_size, counts):
    plan = make_plan("balanced", parse_profile("2:1"), batch_size, microbatch_size=16)
    assert plan.counts == counts


def test_a_partial_microbatch_may_be_followed_by_devices_without_any():
    plan = make_plan("balanced", parse_profile("4:2:0:0"), 90, microbatch_size=16)
    assert plan.shares == (4, 2, 0, 0)
    assert plan.counts == (64, 26, 0, 0)


@given(
    st.sampled_from([scheme for scheme in SCHEMES.values() if scheme.exact]),
    st.sampled_from(PROFILES),
    st.integers(1, 2000),
    st.integers(1, 40),
)
def test_an_exact_scheme_weighs_every_sample_the_same_to_the_last_bit(
    scheme, text, batch_size, microbatch_size
):
    plan = make_plan(scheme, parse_profile(text), batch_size, microbatch_size)
    assert set(plan.sample_weights.tolist()) == {float(np.float32(1 / batch_size))}


def test_speed_is_balanced_where_shares_are_exact():
    plans = [
        make_plan(scheme, parse_profile("4:2:1:1"), 256, 16) for scheme in ("balanced", "speed")
    ]
    assert plans[0].shares == plans[1].shares == (8, 4, 2, 2)
    assert plans[0].weights == plans[1].weights == (0.5, 0.25, 0.125, 0.125)
    np.testing.assert_array_equal(plans[0].sample_weights, plans[1].sample_weights)


def test_speeds_that_are_no_64_bit_numbers_are_weighed():
    profile = Profile((Device("a", 3 * 10**25), Device("b", 10**25)))
    plan = make_plan("speed", profile, 64, 16)
    assert plan.shares == (3, 1)
    assert plan.weights == (0.75, 0.25)


def test_speed_differs_from_balanced_where_shares_are_rounded():
    balanced, speed = (make_plan(s, parse_profile("2:1"), 64, 16) for s in ("balanced", "speed"))
    assert balanced.shares == speed.shares == (3, 1)
    assert balanced.weights == (0.75, 0.25)
    assert speed.weights == (2 / 3, 1 / 3)


@pytest.mark.parametrize(
    ("scheme", "weights"),
    [
        ("balanced", (2 / 3, 1 / 3, 0, 0)),
        ("speed", (16 / 24, 8 / 24, 0, 0)),
        ("uniform", (1 / 2, 1 / 2, 0, 0)),
        ("even", (1 / 3, 1 / 3, 1 / 3, 0)),
    ],
)
def test_devices_without_samples_have_no_weight(scheme, weights):
    plan = make_plan(scheme, parse_profile("16:8:1:0"), 3, microbatch_size=1)
    np.testing.assert_allclose(plan.weights, weights, rtol=1e-15)


def test_caps_are_kept():
    profile = Profile((Device("a", 9, memory_cap=40), Device("b", 1)))
    assert make_plan("balanced", profile, 96, 16).counts == (32, 64)
    with pytest.raises(InputError, match="memory_cap 40 of 'a'"):
        make_plan("even", profile, 96, 16)


@pytest.mark.parametrize(
    ("arguments", "names_it"),
    [
        (("fair", 64, 16), "`scheme`=fair"),
        (("balanced", 0, 16), "`batch_size`=0"),
        (("balanced", 64, 0), "`microbatch_size`=0"),
        (("even", 64, -1), "`microbatch_size`=-1"),
    ],
)
def test_bad_arguments_are_named(arguments, names_it):
    scheme, batch_size, microbatch_size = arguments
    with pytest.raises(InputError) as caught:
        make_plan(scheme, parse_profile("2:1"), batch_size, microbatch_size)
    assert names_it in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "batch_size", "times"),
    [("even", 128, "1.50"), ("even", 144, ""), ("balanced", 128, ""), ("uniform", 128, "2.00")],
)
def test_a_plan_says_where_samples_do_not_count_alike(scheme, batch_size, times):
    plan = make_plan(scheme, parse_profile("2:1:1"), batch_size, 16)
    said = plan.describe_bias(("a", "b", "c"))
    assert bool(said) == bool(times)
    if times:
        assert times in said
        assert ", ".join(map(str, plan.shares)) in said
