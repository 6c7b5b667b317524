import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import Device, Profile, parse_profile
from hsi_jax.hetero.simulation import (
    ALL_REDUCES,
    Network,
    in_seconds,
    message_bytes,
    model_step,
    repeat_devices,
    step_seconds,
    two_kinds,
)

FREE = Network(latency=0, bandwidth=1e300)
names = st.sampled_from(["best", *ALL_REDUCES])
sizes = st.integers(1, 10**9)
latencies = st.floats(0, 1)
bandwidths = st.floats(1, 1e12)
profiles = st.lists(
    st.builds(Device, st.just("a"), st.floats(0.1, 100), st.floats(0, 10)), min_size=1, max_size=9
).map(lambda devices: Profile(tuple(devices)))


def ring_by_hand(devices, size, latency, bandwidth):
    """Every device sends a chunk to its neighbour, in each of 2 (D - 1) rounds."""
    clock = 0.0
    for _ in range(2 * (devices - 1)):
        clock += latency + (size / devices) / bandwidth
    return clock


def doubling_by_hand(devices, size, latency, bandwidth):
    """Counts rounds until every device of the power of two knows all terms."""
    group = max(2**k for k in range(20) if 2**k <= devices)
    known, clock = 1, 0.0
    while known < group:
        known *= 2
        clock += latency + size / bandwidth
    return clock + (2 * (latency + size / bandwidth) if group < devices else 0)


def halving_by_hand(devices, size, latency, bandwidth):
    """Halves of halves are exchanged until one chunk is left, and the same way back."""
    group = max(2**k for k in range(20) if 2**k <= devices)
    clock, part = 0.0, size
    for _ in range(group.bit_length() - 1):
        part /= 2
        clock += 2 * (latency + part / bandwidth)
    return clock + (2 * (latency + size / bandwidth) if group < devices else 0)


BY_HAND = {"ring": ring_by_hand, "doubling": doubling_by_hand, "halving": halving_by_hand}


@given(st.sampled_from(list(ALL_REDUCES)), st.integers(1, 70), sizes, latencies, bandwidths)
def test_an_all_reduce_costs_its_messages(name, devices, size, latency, bandwidth):
    modelled = Network(latency, bandwidth, name).all_reduce_seconds(devices, size)
    assert modelled == pytest.approx(BY_HAND[name](devices, size, latency, bandwidth))


def test_one_device_sends_nothing():
    for name in ("best", *ALL_REDUCES):
        assert Network(1, 1, name).all_reduce_seconds(1, 10**6) == 0


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 10**6))
def test_devices_of_a_process_send_as_one(processes, own, size):
    shared = Network(1e-5, 1e9, "ring", devices_per_process=own)
    alone = Network(1e-5, 1e9, "ring").all_reduce_seconds(processes, size)
    # The last process may have fewer devices.
    for devices in (processes * own, processes * own - own + 1):
        assert shared.all_reduce_seconds(devices, size) == alone


def test_the_best_all_reduce_is_the_cheapest():
    small, large = 8, 10**9
    network = Network(latency=1e-5, bandwidth=1e9)
    for devices, size, name in ((1024, small, "doubling"), (6, large, "ring"), (5, 10**5, "ring")):
        costs = {n: Network(1e-5, 1e9, n).all_reduce_seconds(devices, size) for n in ALL_REDUCES}
        assert min(costs, key=costs.__getitem__) == name
        assert network.all_reduce_seconds(devices, size) == costs[name]
    # A power of two: as few bytes as the ring and fewer messages.
    assert network.all_reduce_seconds(1024, large) == pytest.approx(
        Network(1e-5, 1e9, "halving").all_reduce_seconds(1024, large)
    )


@given(names, st.integers(1, 5000), sizes, latencies, bandwidths, st.floats(1, 1e3))
def test_a_better_network_or_less_to_send_is_never_slower(
    name, devices, size, latency, bandwidth, factor
):
    base = Network(latency, bandwidth, name).all_reduce_seconds(devices, size)
    more = (1 + 1e-12) * base
    assert Network(latency, factor * bandwidth, name).all_reduce_seconds(devices, size) <= more
    assert Network(latency / factor, bandwidth, name).all_reduce_seconds(devices, size) <= more
    assert Network(latency, bandwidth, name).all_reduce_seconds(devices, size // 2) <= more
    assert Network(latency, bandwidth).all_reduce_seconds(devices, size) <= base


@given(st.integers(1, 300), st.integers(1, 2000), st.floats(0, 3), st.floats(0.1, 9), latencies)
def test_like_devices_gain_nothing_and_wait_only_for_the_network(
    devices, per_device, fixed_cost, speed, latency
):
    profile = Profile((Device("a", speed, fixed_cost),) * devices)
    network = Network(latency, 1e6)
    step = model_step(profile, devices * per_device, 8, size=10**6, network=network)
    compute = fixed_cost + per_device / speed
    communication = network.all_reduce_seconds(devices, 10**6)
    assert step.modelled_gain == 1
    assert step.modelled_all_reduce_seconds == communication
    assert step.modelled_balanced_step_seconds == pytest.approx(compute + communication)
    assert step.modelled_balanced_utilisation == step.modelled_even_utilisation
    assert step.modelled_even_utilisation == pytest.approx(compute / (compute + communication))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8), st.integers(1, 50))
def test_two_kinds_gain_what_the_formula_says(fast, slow, ratio, rounds):
    """Of F fast and S slow: even takes U / D at speed 1, balanced U / (F r + S)."""
    devices = fast + slow
    profile = Profile((Device("fast", ratio),) * fast + (Device("slow", 1),) * slow)
    microbatches = rounds * devices * (fast * ratio + slow)
    step = model_step(profile, microbatches, 1, size=8, network=FREE)
    assert step.modelled_gain == pytest.approx((fast * ratio + slow) / devices)
    assert step.modelled_balanced_utilisation == pytest.approx(1)
    even_use = (slow + fast / ratio) / devices
    assert step.modelled_even_utilisation == pytest.approx(even_use)


def test_a_step_by_hand():
    profile = Profile((Device("a", 2, 1), Device("b", 1)), time_unit="s")
    # Dealt at 1.5, 1 | 2, 2 | 2.5, 3: three to a, two to b.
    step = model_step(profile, 5, 16, size=1000, network=Network(0.25, 2000, "ring"))
    assert step.modelled_all_reduce_seconds == 2 * (0.25 + 500 / 2000)
    assert step.modelled_balanced_step_seconds == 2.5 + 1
    assert step.modelled_even_step_seconds == max(1 + 3 / 2, 2) + 1
    assert step.modelled_balanced_utilisation == (2.5 + 2) / (2 * 3.5)
    assert step.modelled_gain == 1


def test_a_device_without_work_is_not_in_use_but_its_fixed_cost_is_waited_for():
    profile = Profile((Device("a", 1), Device("b", 1, 5)))
    assert step_seconds(profile, (2, 0), 1.0) == (6, 2 / 12)


@given(profiles, st.integers(1, 60), latencies, bandwidths)
def test_balanced_shares_never_lose(profile, microbatches, latency, bandwidth):
    step = model_step(profile, microbatches, 4, size=4096, network=Network(latency, bandwidth))
    assert step.modelled_gain >= 1 - 1e-12
    assert 0 < step.modelled_balanced_utilisation <= 1 + 1e-12


def test_a_cap_that_forbids_even_shares_leaves_the_rest():
    profile = Profile((Device("big", 1), Device("small", 1, memory_cap=16)))
    step = model_step(profile, 6, 16, size=8, network=FREE)
    assert step.modelled_balanced_step_seconds == 5
    assert math.isnan(step.modelled_even_step_seconds)
    assert math.isnan(step.modelled_gain)
    with pytest.raises(InputError, match="raise the caps"):
        model_step(Profile(profile.devices[1:]), 6, 16, size=8, network=FREE)


def test_clusters_are_made_of_what_a_profile_has():
    profile = parse_profile("4:2:1")
    assert repeat_devices(profile, 7).speeds == (4, 2, 1, 4, 2, 1, 4)
    assert repeat_devices(profile, 2).speeds == (4, 2)
    timed = in_seconds(Profile((Device("a", 4, 2.0, 64),)), 0.5)
    assert timed.devices == (Device("a", 8, 1.0, 64),)
    assert timed.time_unit == "s"
    assert timed.times((3,))[0] == 0.5 * Device("a", 4, 2.0).time(3)


@given(st.integers(1, 200), st.floats(0, 1), st.integers(1, 9))
def test_two_kinds_are_as_many_as_asked_for_and_mixed(devices, slow_fraction, ratio):
    fast, slow = Device("a", 6, 1.0), Device("a", 6 / ratio, 1.0 * ratio)
    kinds = two_kinds(fast, devices, slow_fraction, ratio).devices
    assert len(kinds) == devices
    if ratio > 1:
        assert kinds.count(slow) == round(slow_fraction * devices)
        for first in range(1, devices):
            assert abs(kinds[:first].count(slow) - first * kinds.count(slow) / devices) < 1
    assert slow.time(12) == pytest.approx(ratio * fast.time(12))


def test_a_message_has_a_sum_for_each_value_and_one_more():
    assert message_bytes(0) == 4
    assert message_bytes(1000) == 4004


@pytest.mark.parametrize(
    ("arguments", "names_it"),
    [
        ((-1, 1), "`latency`=-1"),
        ((math.nan, 1), "`latency`=nan"),
        ((0, 0), "`bandwidth`=0"),
        ((0, math.inf), "`bandwidth`=inf"),
        ((0, 1, "tree"), "`all_reduce`=tree"),
        ((0, 1, "ring", 0), "`devices_per_process`=0"),
    ],
)
def test_a_network_that_cannot_be_is_refused(arguments, names_it):
    with pytest.raises(InputError, match=names_it):
        Network(*arguments)
