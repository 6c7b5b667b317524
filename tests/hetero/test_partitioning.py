from fractions import Fraction
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.hetero.partitioning import even_partition, partition
from hsi_jax.hetero.profile import Device, Profile, parse_profile

MICROBATCH_SIZE = 4

eighths = st.integers(0, 64).map(lambda n: n / 8)


@st.composite
def profiles(draw, caps=True):
    memory_caps = st.none() | st.integers(0, 8 * MICROBATCH_SIZE) if caps else st.none()
    speeds = draw(st.lists(st.just(0) | eighths, min_size=1, max_size=4).filter(any))
    devices = [
        Device(f"device {i}", speed, draw(eighths), draw(memory_caps))
        for i, speed in enumerate(speeds)
    ]
    return Profile(tuple(devices))


def compositions(total, parts):
    """All ways to write `total` as an ordered sum of `parts` whole numbers (stars and bars)."""
    for bars in combinations(range(total + parts - 1), parts - 1):
        edges = (-1, *bars, total + parts - 1)
        yield tuple(right - left - 1 for left, right in pairwise(edges))


def is_allowed(profile, shares):
    return all(
        (share == 0 or device.speed > 0)
        and (device.memory_cap is None or share * MICROBATCH_SIZE <= device.memory_cap)
        for device, share in zip(profile.devices, shares, strict=True)
    )


def slowest(profile, shares):
    """The time at which the last device that has work is done, without rounding."""
    return max(
        Fraction(device.fixed_cost) + share / Fraction(device.speed)
        for device, share in zip(profile.devices, shares, strict=True)
        if share > 0
    )


@given(profiles(), st.integers(1, 8))
@settings(max_examples=200)
def test_no_other_deal_is_done_earlier(profile, microbatches):
    allowed = [s for s in compositions(microbatches, len(profile)) if is_allowed(profile, s)]
    if not allowed:
        with pytest.raises(InputError, match="raise the caps"):
            partition(profile, microbatches, MICROBATCH_SIZE)
        return
    shares = partition(profile, microbatches, MICROBATCH_SIZE)
    assert sum(shares) == microbatches
    assert is_allowed(profile, shares)
    least = min(slowest(profile, other) for other in allowed)
    assert slowest(profile, shares) <= least * (1 + Fraction(1, 10**12))


@given(
    speeds=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    rounds=st.integers(1, 5),
    unit=st.sampled_from([1.0, 0.1, 1e-6, 1e9, 1 / 3]),
)
def test_without_fixed_costs_shares_are_proportional_where_they_can_be(speeds, rounds, unit):
    profile = Profile(tuple(Device("a", speed * unit) for speed in speeds))
    shares = partition(profile, rounds * sum(speeds), 1)
    assert shares == tuple(rounds * speed for speed in speeds)


@pytest.mark.parametrize(
    ("text", "microbatches", "shares"),
    [
        ("1:1:1", 4, (2, 1, 1)),  # among equals the first is served first
        ("4:2:1:1", 8, (4, 2, 1, 1)),
        ("4:2:1:1", 7, (4, 2, 1, 0)),
        ("4:2:1:1", 9, (5, 2, 1, 1)),
        ("7:0.5:0.5:0", 16, (14, 1, 1, 0)),
        ("16:1:1:1", 4, (4, 0, 0, 0)),
        ("0:3", 5, (0, 5)),
    ],
)
def test_a_table_worked_by_hand(text, microbatches, shares):
    assert partition(parse_profile(text), microbatches, 16) == shares


def test_a_fixed_cost_keeps_a_device_out_until_the_others_take_as_long():
    profile = Profile((Device("a", 1), Device("b", 1, fixed_cost=2.5)))
    dealt = [partition(profile, microbatches, 1) for microbatches in range(1, 7)]
    assert dealt == [(1, 0), (2, 0), (3, 0), (3, 1), (4, 1), (4, 2)]


@pytest.mark.parametrize(("cap", "shares"), [(23, (2, 4)), (24, (3, 3)), (25, (3, 3))])
def test_a_cap_counts_whole_microbatches(cap, shares):
    profile = Profile((Device("a", 9, memory_cap=cap), Device("b", 1)))
    assert partition(profile, 6, 8) == shares


def test_caps_too_small_by_one_sample_raise():
    devices = (Device("a", 1, memory_cap=16), Device("b", 1, memory_cap=15))
    with pytest.raises(InputError, match=r"'tight' hold 24 samples.*8.*has 4 microbatches"):
        partition(Profile(devices, "tight"), 4, 8)


def test_what_caps_leave_over_does_not_go_to_a_device_of_speed_0():
    profile = Profile((Device("a", 1, memory_cap=16), Device("absent", 0)))
    assert partition(profile, 2, 8) == (2, 0)
    with pytest.raises(InputError, match="hold 16 samples"):
        partition(profile, 3, 8)


@given(profiles(caps=False), st.integers(1, 40))
def test_even_shares_differ_by_one_at_most(profile, microbatches):
    shares = even_partition(profile, microbatches, MICROBATCH_SIZE)
    present = [n for n, speed in zip(shares, profile.speeds, strict=True) if speed > 0]
    assert sum(present) == sum(shares) == microbatches
    assert max(present) - min(present) <= 1
    assert present == sorted(present, reverse=True)


def test_an_even_share_does_not_look_at_speeds():
    assert even_partition(parse_profile("9:1:0:1"), 8, 16) == (3, 3, 0, 2)


def test_an_even_share_beyond_the_cap_names_the_device():
    profile = Profile((Device("big", 1), Device("small", 1, memory_cap=31)))
    assert even_partition(profile, 3, 16) == (2, 1)
    with pytest.raises(InputError, match=r"2 microbatches of 16.*memory_cap 31 of 'small'"):
        even_partition(profile, 4, 16)


def dealt_one_by_one(profile, microbatches, microbatch_size):
    """Who would be done first gets the next one, in as many words."""
    shares = [0] * len(profile)
    for _ in range(microbatches):
        free = [
            index
            for index, device in enumerate(profile.devices)
            if device.speed > 0
            and (
                device.memory_cap is None
                or (shares[index] + 1) * microbatch_size <= device.memory_cap
            )
        ]
        if not free:
            return None
        first = min(free, key=lambda i: (profile.devices[i].time(shares[i] + 1), i))
        shares[first] += 1
    return tuple(shares)


speeds = st.just(0) | st.floats(1e-6, 1e6) | st.integers(1, 9) | st.sampled_from([1e-30, 1e30])
fixed_costs = st.just(0) | st.floats(0, 1e3) | st.sampled_from([1e-9, 1e9, 1e30])


@given(
    devices=st.lists(
        st.builds(Device, st.just("a"), speeds, fixed_costs, st.none() | st.integers(0, 400)),
        min_size=1,
        max_size=9,
    ).filter(lambda devices: any(device.speed for device in devices)),
    microbatches=st.integers(1, 120),
)
@settings(max_examples=300)
def test_dealing_ahead_gives_the_shares_of_dealing_one_by_one(devices, microbatches):
    profile = Profile(tuple(devices))
    expected = dealt_one_by_one(profile, microbatches, MICROBATCH_SIZE)
    if expected is None:
        with pytest.raises(InputError, match="raise the caps"):
            partition(profile, microbatches, MICROBATCH_SIZE)
    else:
        assert partition(profile, microbatches, MICROBATCH_SIZE) == expected


def test_thousands_of_devices_are_dealt_tens_of_thousands_of_microbatches():
    kinds = (Device("new", 4, 0.5), Device("old", 1, 0.25, memory_cap=60), Device("off", 0))
    profile = Profile(tuple(kinds[i % 3] for i in range(6000)))
    shares = partition(profile, 60_000, MICROBATCH_SIZE)
    late = Fraction(slowest(profile, shares))
    assert sum(shares) == 60_000
    assert is_allowed(profile, shares)
    # No device could end earlier: everyone is busy to within one microbatch of the end.
    for device, share in zip(profile.devices, shares, strict=True):
        if device.speed:
            assert device.time(share + 1) >= late
