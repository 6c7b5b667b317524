import pytest

from hsi_jax.hetero import Device, Profile, make_plan, parse_profile
from hsi_jax.hetero.timing import Timing, profile_of
from hsi_jax.run.summary_devices import MeasuredStep
from hsi_jax.session.summarise_devices import model_time_without, model_times


def test_a_device_that_would_only_delay_gets_no_microbatch_and_is_worth_nothing():
    fast, slow = Timing(0.002, 0.001, 0.0), Timing(0.001, 0.2, 0.0)
    profile = profile_of([fast, slow], ["gpu", "cpu"])
    plan = make_plan("balanced", profile, 320, 10)
    assert plan.shares == (32, 0)
    step = max(profile.times(plan.shares))
    assert step == pytest.approx(0.002 + 32 * 0.001)
    assert model_time_without(profile, plan, 1) == pytest.approx(step)
    assert model_time_without(profile, plan, 0) == pytest.approx(0.001 + 32 * 0.2)


def test_without_a_device_that_works_a_step_takes_longer():
    profile = profile_of([Timing(0.0, 0.1, 0.0), Timing(0.0, 0.3, 0.0)], ["a", "b"])
    plan = make_plan("balanced", profile, 40, 10)
    assert plan.shares == (3, 1)
    assert model_time_without(profile, plan, 0) == pytest.approx(4 * 0.3)
    assert model_time_without(profile, plan, 1) == pytest.approx(4 * 0.1)


def test_none_where_the_others_could_not_do_it():
    capped = Profile((Device("a", 1.0, memory_cap=20), Device("b", 1.0)))
    plan = make_plan("balanced", capped, 40, 10)
    assert model_time_without(capped, plan, 1) is None
    assert model_time_without(capped, plan, 0) is not None
    alone = Profile((Device("a", 1.0),))
    assert model_time_without(alone, make_plan("balanced", alone, 40, 10), 0) is None


MEASURED = MeasuredStep(
    names=("a", "b"),
    own_work_ms=(90.0, 100.0),
    waiting_ms=(10.0, 0.0),
    sum_and_update_ms=300.0,
    step_ms=400.0,
    timed_steps=3,
)


def test_modelled_times_include_the_measured_sum_and_update_where_the_unit_allows():
    profile = profile_of([Timing(0.0, 0.1, 0.0), Timing(0.0, 0.3, 0.0)], ["a", "b"])
    plan = make_plan("balanced", profile, 40, 10)
    alone, both = model_times(profile, plan), model_times(profile, plan, MEASURED)
    assert alone.modelled_communication is None
    assert alone.modelled_step_time == pytest.approx(0.3)
    assert alone.modelled_speedup_over_even == pytest.approx(2)
    assert both.modelled_communication == pytest.approx(0.3)
    assert both.modelled_step_time == pytest.approx(0.6)
    assert both.modelled_speedup_over_even == pytest.approx((0.6 + 0.3) / (0.3 + 0.3))
    assert both.modelled_device_times == alone.modelled_device_times
    declared = parse_profile("3:1")  # its unit is no second
    assert model_times(declared, plan, MEASURED) == model_times(declared, plan)
