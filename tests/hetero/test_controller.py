import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.hetero.controller import Controller
from hsi_jax.hetero.partitioning import partition
from hsi_jax.hetero.profile import Device, Profile, parse_profile
from hsi_jax.hetero.scheme import SCHEMES

PROFILES = ("1:1:1", "4:2:1:1", "16:1:1:1", "1:1", "8:4:2:1:1")
DEAD_BAND = 0.05
NOISE = (1 + DEAD_BAND) / (1 - DEAD_BAND)  # what noise within the dead band can feign


FOLLOWED = 6  # measurements within which shares follow a change

measured = st.floats(1e-4, 1e4) | st.sampled_from([np.nan, np.inf, 0.0, -1.0])


def with_fixed_cost(text, cost):
    profile = parse_profile(text)
    return replace(profile, devices=tuple(replace(d, fixed_cost=cost) for d in profile.devices))


def at_pace(profile, paces):
    """The profile when each device runs at that fraction of its speed, fixed cost included."""
    devices = [
        replace(device, speed=device.speed * pace, fixed_cost=device.fixed_cost / pace)
        for device, pace in zip(profile.devices, paces, strict=True)
    ]
    return replace(profile, devices=tuple(devices))


def slowed(profile, index, factor):
    return at_pace(profile, [1 / factor if i == index else 1 for i in range(len(profile))])


def step_time(profile, shares):
    return max(t for t, share in zip(profile.times(shares), shares, strict=True) if share)


def least_step_time(profile, microbatches):
    return step_time(profile, partition(profile, microbatches, 1))


class Platform:
    """Devices that take exactly the times of a profile, under the shares that a controller sets."""

    def __init__(self, guess, microbatches, **settings):
        self.controller = Controller(guess, microbatches, 1, **settings)
        self.home = self.shares = partition(guess, microbatches, 1)
        self.history = []

    def run(self, truth, observations=1, noise=lambda: 1.0):
        """Returns how often the shares changed."""
        changes = 0
        for _ in range(observations):
            busy = zip(truth.times(self.shares), self.shares, strict=True)
            seconds = [time * noise() if share else 0.0 for time, share in busy]
            plan = self.controller.observe(self.shares, seconds)
            if plan is not None:
                assert plan.scheme is SCHEMES["adaptive"]
                assert plan.shares != self.shares
                self.shares = plan.shares
                changes += 1
            self.history.append(self.shares)
        return changes


every_platform = pytest.mark.parametrize(
    ("profile", "microbatches"),
    [
        (make(text), microbatches)
        for text in PROFILES
        for microbatches in (12, 24)
        for make in (parse_profile, partial(with_fixed_cost, cost=0.7))
    ],
    ids=lambda value: (
        f"{value.name}, cost {value.devices[0].fixed_cost}" if isinstance(value, Profile) else None
    ),
)


@given(
    text=st.sampled_from(PROFILES),
    cost=st.sampled_from([0, 0.5, 20]),
    microbatches=st.integers(1, 40),
    unit=st.sampled_from([1, 1e-3, 60]),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=30)
def test_noise_never_moves_shares(text, cost, microbatches, unit, extreme, seed):
    rng = np.random.default_rng(seed)

    def noise():
        amplitude = rng.choice([-1, 1]) if extreme else rng.uniform(-1, 1)
        return unit * (1 + 0.0499 * amplitude)

    platform = Platform(with_fixed_cost(text, cost), microbatches)
    assert platform.run(platform.controller.guess, 300, noise) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("text", "index"), [("1:1:1", 1), ("4:2:1:1", 0), ("16:1:1:1", 0)])
def test_noise_moves_no_shares_once_they_have_followed_a_change(text, index, seed):
    rng = np.random.default_rng(seed)
    platform = Platform(parse_profile(text), 12)
    truth = slowed(platform.controller.guess, index, 3)
    platform.run(platform.controller.guess, 4)
    platform.run(truth, 10, lambda: rng.uniform(0.95, 1.05))
    assert step_time(truth, platform.shares) <= 1.05 * least_step_time(truth, 12)
    assert platform.run(truth, 300, lambda: rng.uniform(0.95, 1.05)) == 0


@pytest.mark.parametrize("known", [4, 7])  # before four, the unit of time is not known
@pytest.mark.parametrize("factor", [2, 3])
@every_platform
def test_a_slowdown_is_followed_within_six_measurements(profile, microbatches, factor, known):
    for index in range(len(profile)):
        platform = Platform(profile, microbatches)
        if platform.home[index] == 0:
            continue
        platform.run(profile, known)
        truth = slowed(profile, index, factor)
        platform.run(truth, FOLLOWED)
        best = least_step_time(truth, microbatches)
        assert step_time(truth, platform.shares) <= 1.0001 * NOISE * best


def heavy_tailed(rng):
    """Noise of a busy machine: some percent, and one time in ten up to three times as long."""
    return rng.lognormal(0, 0.05) * (rng.uniform(1, 3) if rng.random() < 0.1 else 1)


busy_machines = pytest.mark.parametrize(
    ("text", "microbatches"), [("2:1:1", 8), ("1:1:1", 8), ("1:1", 16), ("4:2:1:1", 24)]
)


@pytest.mark.parametrize("seed", range(5))
@busy_machines
def test_on_a_busy_machine_shares_stay_within_a_microbatch_of_the_best(text, microbatches, seed):
    rng = np.random.default_rng(seed)
    platform = Platform(parse_profile(text), microbatches)
    platform.run(platform.controller.guess, 200, lambda: heavy_tailed(rng))
    assert np.abs(np.array(platform.history) - platform.home).max() <= 1


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("seed", range(5))
@busy_machines
def test_on_a_busy_machine_a_change_is_followed_as_well(text, microbatches, seed, factor):
    rng = np.random.default_rng(seed)
    platform = Platform(parse_profile(text), microbatches)
    platform.run(platform.controller.guess, 20, lambda: rng.lognormal(0, 0.05))
    truth = slowed(platform.controller.guess, 0, factor)
    platform.run(truth, FOLLOWED, lambda: rng.lognormal(0, 0.05))
    assert np.abs(np.subtract(platform.shares, partition(truth, microbatches, 1))).max() <= 1
    platform.run(truth, 50, lambda: heavy_tailed(rng))
    assert np.abs(np.subtract(platform.shares, partition(truth, microbatches, 1))).max() <= 1


def test_the_last_microbatch_goes_only_by_several_measurements():
    guess = parse_profile("1:1:1")
    platform = Platform(guess, 3)
    platform.run(guess, 3)
    for outliers in (1, 2, 3):
        assert platform.run(slowed(guess, 2, 100), outliers) == 0
        assert platform.run(guess, 7) == 0
    platform.run(slowed(guess, 2, 100), FOLLOWED)
    assert platform.shares[2] == 0


def test_an_old_state_without_the_last_measurements_still_loads():
    controller = Controller(parse_profile("2:1"), 12, 1)
    controller.observe((8, 4), (4.0, 9.0))
    old = {"paces": [1.0, 0.5], "trusts": [1.0, 0.5], "best": 1.0, "agreeing": 1}
    resumed = Controller.from_state(old, parse_profile("2:1"), 12, 1)
    assert resumed.profile.speeds == (2, 0.5)
    assert resumed.state() == old | {"recent": [[], []]}


@every_platform
def test_shares_return_when_a_device_recovers(profile, microbatches):
    for index in range(len(profile)):
        platform = Platform(profile, microbatches)
        platform.run(slowed(profile, index, 3), 8)
        had_work = platform.shares[index] > 0
        platform.run(profile, 7 if had_work else 120)  # 7: the last slow one has gone
        assert platform.shares == platform.home


@every_platform
def test_a_single_hiccup_moves_nothing(profile, microbatches):
    for index in range(len(profile)):
        platform = Platform(profile, microbatches)
        platform.run(profile, 3)
        assert platform.run(slowed(profile, index, 10)) == 0
        assert platform.run(profile, 50) == 0


def test_a_device_without_work_is_tried_again_once_it_has_recovered():
    platform = Platform(parse_profile("4:2:1:1"), 8)
    assert platform.home == (4, 2, 1, 1)
    slow = slowed(platform.controller.guess, 3, 10)
    platform.run(slow, FOLLOWED)
    assert platform.shares[3] == 0
    platform.run(platform.controller.guess, 5)
    assert platform.shares == platform.home


def test_a_device_that_stays_slow_is_tried_ever_more_rarely():
    platform = Platform(parse_profile("1:1:1"), 3)
    truth = slowed(platform.controller.guess, 2, 10)
    platform.run(truth, 800)
    works = [shares[2] > 0 for shares in platform.history]
    tried = [i for i in range(1, 800) if works[i] and not works[i - 1]]
    assert 3 <= len(tried) <= 10
    gaps = np.diff(tried)
    assert (gaps[1:] >= 1.3 * gaps[:-1]).all()
    platform.run(platform.controller.guess, 800)
    assert platform.shares == platform.home
    platform.run(truth, FOLLOWED)
    assert platform.shares[2] == 0
    platform.run(platform.controller.guess, 5)  # it is trusted again
    assert platform.shares == platform.home


def test_a_device_hardly_too_slow_to_be_used_does_not_come_and_go():
    rng = np.random.default_rng(0)
    platform = Platform(parse_profile("4:2:1:1"), 7)
    truth = slowed(platform.controller.guess, 1, 3)
    assert platform.run(truth, 300, lambda: rng.uniform(0.95, 1.05)) <= 24
    assert platform.run(truth, 300, lambda: rng.uniform(0.95, 1.05)) <= 4


def test_a_guess_in_another_unit_and_quite_wrong_is_corrected():
    platform = Platform(parse_profile("1:1:1"), 14)
    truth = Profile(tuple(Device("a", speed) for speed in (4000, 2000, 1000)))
    platform.run(truth, FOLLOWED)
    assert platform.shares == (8, 4, 2)
    assert platform.run(truth, 50) == 0


def test_the_unit_of_the_guess_holds_for_devices_not_yet_measured():
    guess = parse_profile("16:1:1:1")
    platform = Platform(guess, 4)
    assert platform.home == (4, 0, 0, 0)
    milliseconds = at_pace(guess, [1000] * 4)
    assert platform.run(milliseconds, 10) == 0
    platform.run(slowed(milliseconds, 0, 16), FOLLOWED)
    assert platform.shares == (1, 1, 1, 1)
    platform.run(milliseconds, 10)
    assert platform.shares == platform.home


def test_one_slow_device_says_nothing_of_those_not_yet_measured():
    platform = Platform(parse_profile("4:2:1:1"), 7)
    assert platform.home == (4, 2, 1, 0)
    platform.run(slowed(platform.controller.guess, 1, 3), FOLLOWED)
    assert platform.shares == (5, 0, 1, 1)


def test_absurdly_short_times_say_nothing_of_them_either():
    controller = Controller(parse_profile("4:2:1:1"), 7, 1)
    for _ in range(3):
        controller.observe((4, 2, 1, 0), (1.0, 1.0, 1e-6, 0.0))
        assert controller.profile.speeds == (4, 2, 1, 1)
    controller.observe((4, 2, 1, 0), (1.0, 1.0, 1e-6, 0.0))
    assert controller.profile.speeds == pytest.approx((4, 2, 1e6, 1))


def test_a_fixed_cost_that_keeps_a_device_out_hides_no_gain():
    devices = (Device("a", 1), Device("b", 1), Device("far", 1, fixed_cost=50))
    platform = Platform(Profile(devices), 12)
    assert platform.home == (6, 6, 0)
    platform.run(slowed(platform.controller.guess, 1, 3), FOLLOWED)
    assert platform.shares == (9, 3, 0)


@given(
    paces=st.lists(st.floats(0.4, 1), min_size=3, max_size=3),
    text=st.sampled_from(["1:1:1", "2:1:1", "3:2:1"]),
    cost=st.sampled_from([0, 0.3]),
    microbatches=st.integers(12, 30),
)
def test_shares_come_to_within_the_dead_band_of_the_best(paces, text, cost, microbatches):
    platform = Platform(with_fixed_cost(text, cost), microbatches)
    truth = at_pace(platform.controller.guess, paces)
    platform.run(truth, 20)
    best = least_step_time(truth, microbatches)
    assert step_time(truth, platform.shares) <= 1.001 * NOISE * best
    if 0 not in platform.shares:  # a device without work is tried again now and then
        assert platform.run(truth, 20) == 0


@pytest.mark.parametrize("hysteresis", [1, 2, 3])
def test_hysteresis_is_the_number_of_measurements_that_must_agree(hysteresis):
    guess = parse_profile("1:1")
    slow = slowed(guess, 1, 4 / 3)  # (10, 10): 13.3 to (11, 9): 12, a gain of 10 %
    platform = Platform(guess, 20, hysteresis=hysteresis)
    platform.run(guess, 7)
    assert platform.run(slow, 4 + hysteresis - 1) == 0  # from the fifth on no old one is beside
    assert platform.run(slow) == 1
    assert step_time(slow, platform.shares) == pytest.approx(12)


def test_it_is_settled_while_measurements_are_as_expected_and_shares_stay():
    guess = parse_profile("1:1")
    slow = slowed(guess, 1, 4 / 3)
    platform = Platform(guess, 20)
    assert platform.controller.settled
    platform.run(guess, 7)
    assert platform.controller.settled
    for _ in range(5):  # unexpected, and then a change that is to be confirmed
        assert platform.run(slow) == 0
        assert not platform.controller.settled
    platform.controller.observe(platform.shares, [float("nan")] * 2)
    assert not platform.controller.settled  # it is still to be confirmed
    platform.run(slow, 10)
    assert platform.controller.settled


@pytest.mark.parametrize(("dead_band", "changes"), [(0.05, 1), (0.055, 0), (0.0, 1)])
def test_the_dead_band_bounds_the_gain_from_below(dead_band, changes):
    # A gain of 10 %; 2 * dead_band / (1 + dead_band) is 9.5 %, 10.4 % and 0 %.
    guess = parse_profile("1:1")
    platform = Platform(guess, 20, dead_band=dead_band)
    assert platform.run(slowed(guess, 1, 4 / 3), 10) == changes


def test_the_pace_is_the_median_of_the_last_seven_measured_ones():
    guess = parse_profile("1:1")
    controller = Controller(guess, 20, 1)
    paces = [0.9, 0.5, 0.8, 0.7, 1.2, 0.6, 1.1, 0.2, 0.3, 0.4]
    for done, pace in enumerate(paces, 1):
        controller.observe((10, 10), (10, 10 / pace))
        known = np.median(paces[:done][-7:]) if done >= 4 else 1
        assert controller.profile.speeds == pytest.approx((1, known))


def test_the_estimate_keeps_names_caps_and_absent_devices():
    guess = Profile(
        (Device("a", 4, 0.5, memory_cap=96), Device("b", 2, 0.25), Device("off", 0)), "lab"
    )
    controller = Controller(guess, 192, 16)
    for _ in range(FOLLOWED):
        plan = controller.observe((6, 6, 0), (2.0, 9.75, 0.0))
    a, b, off = controller.profile.devices
    assert (a, b) == (guess.devices[0], Device("b", 2 / 3, 0.75))
    assert off == guess.devices[2]
    assert controller.profile.name == "lab"
    assert plan is None  # b is three times slower, but a can hold no more than 6 microbatches


def test_plans_weigh_by_counts():
    controller, plan = Controller(parse_profile("1:1"), 150, 16), None
    while plan is None:
        plan = controller.observe((5, 5), (5.0, 20.0))
    assert plan.shares == (8, 2)
    assert plan.counts == (128, 22)
    assert plan.weights == pytest.approx((128 / 150, 22 / 150))
    assert (plan.batch_size, plan.microbatch_size) == (150, 16)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_an_unusable_time_is_ignored(bad):
    platform = Platform(parse_profile("2:1:1"), 16)
    platform.run(slowed(platform.controller.guess, 1, 3), FOLLOWED)
    before = platform.controller.profile
    times = list(before.times(platform.shares))
    times[1] = bad
    assert platform.controller.observe(platform.shares, times) is None
    assert platform.controller.profile.speeds == pytest.approx(before.speeds)
    assert platform.controller.observe(platform.shares, [bad] * 3) is None
    assert platform.controller.profile.speeds == pytest.approx(before.speeds)


def test_nothing_usable_from_the_start_leaves_the_guess():
    controller = Controller(parse_profile("4:1"), 5, 1)
    for _ in range(5):
        assert controller.observe((4, 1), (np.nan, np.nan)) is None
    assert controller.profile == parse_profile("4:1")


@given(st.lists(measured, min_size=1, max_size=20))
def test_one_device_keeps_its_share(seconds):
    controller = Controller(parse_profile("3"), 8, 1)
    assert all(controller.observe((8,), (second,)) is None for second in seconds)


@given(
    text=st.sampled_from(["1:1:1", "4:2:1", "16:1:1"]),
    cost=st.sampled_from([0, 0.5]),
    microbatches=st.integers(1, 24),
    steps=st.lists(st.tuples(measured, measured, measured), min_size=1, max_size=25),
)
def test_ranks_agree_and_a_checkpoint_changes_nothing(text, cost, microbatches, steps):
    def create():
        return Controller(with_fixed_cost(text, cost), microbatches, 1)

    ranks = [create() for _ in range(3)]
    shares = partition(ranks[0].guess, microbatches, 1)
    for seconds in steps:
        state = json.loads(json.dumps(ranks[0].state(), allow_nan=False))
        arguments = (ranks[0].guess, microbatches, 1)
        resumed = Controller.from_state(state, *arguments)
        again = Controller.from_state(state, *arguments)
        plans = [
            ranks[0].observe(shares, seconds),
            ranks[1].observe(np.array(shares, np.int32), np.array(seconds)),
            ranks[2].observe(list(shares), list(seconds)),
            resumed.observe(shares, seconds),
            again.observe(shares, seconds),
        ]
        assert len({plan and plan.shares for plan in plans}) == 1
        assert resumed.state() == ranks[0].state() == ranks[1].state() == again.state()
        if plans[0] is not None:
            assert sum(plans[0].shares) == microbatches
            shares = plans[0].shares


def test_a_state_is_a_copy_of_plain_numbers():
    controller = Controller(parse_profile("2:1"), 12, 1)
    controller.observe(np.array([8, 4]), np.array([4.1, 4.0], np.float32))
    state = controller.state()
    kept = json.dumps(state)
    numbers = [
        *state["paces"],
        *state["trusts"],
        *(p for paces in state["recent"] for p in paces),
        state["best"],
        state["agreeing"],
    ]
    assert {type(number) for number in numbers} == {float, int}
    resumed = Controller.from_state(state, parse_profile("2:1"), 12, 1)
    for one in (controller, resumed):
        one.observe((8, 4), (40.0, 4.0))
    assert json.dumps(state) == kept


def test_a_state_of_other_devices_is_refused():
    state = Controller(parse_profile("2:1"), 12, 1).state()
    with pytest.raises(InputError, match=r"2 devices.* 3"):
        Controller.from_state(state, parse_profile("1:1:1"), 12, 1)


@pytest.mark.parametrize(
    ("settings", "names_it"),
    [
        ({"dead_band": np.nan}, "`dead_band`=nan"),
        ({"dead_band": -0.01}, "`dead_band`=-0.01"),
        ({"hysteresis": 0}, "`hysteresis`=0"),
        ({"dead_band": 1.0}, "`dead_band`=1.0"),
        ({"batch_size": 0}, "`batch_size`=0"),
    ],
)
def test_settings_out_of_range_are_named(settings, names_it):
    with pytest.raises(InputError, match=names_it):
        Controller(
            **{"guess": parse_profile("2:1"), "batch_size": 4, "microbatch_size": 1} | settings
        )


@pytest.mark.parametrize(
    ("shares", "seconds"), [((4,), (1.0, 1.0)), ((3, 1), (1.0,)), ((2, 1, 1), (1.0, 1.0, 1.0))]
)
def test_numbers_of_another_platform_raise(shares, seconds):
    with pytest.raises(ValueError, match="for 2 devices"):
        Controller(parse_profile("2:1"), 4, 1).observe(shares, seconds)
