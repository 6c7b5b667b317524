import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from hsi_jax.hetero.profile import read_profile
from hsi_jax.hetero.timing import (
    Timing,
    choose_microbatch_size,
    fit_timing,
    profile_of,
    time_calls,
)

positive = st.floats(1e-6, 1e3)
size_lists = st.lists(st.integers(1, 64), min_size=2, max_size=5, unique=True)


class Machine:
    """A device with a clock of its own: call(n) takes 2 + 3 n, the first of each n 100 more."""

    def __init__(self, slower_per_call=0.0):
        self.now = 0.0
        self.called = []
        self.slower_per_call = slower_per_call

    def call(self, number):
        warm = number in self.called
        self.called.append(number)
        drift = 1 + self.slower_per_call * len(self.called)
        self.now += (2 + 3 * number) * drift + (0 if warm else 100)

    def clock(self):
        return self.now


def test_calls_are_warmed_up_interleaved_and_timed():
    machine = Machine()
    seconds = time_calls(machine.call, (1, 4, 2), 3, machine.clock)
    assert machine.called == [1, 4, 2] * 4
    assert seconds.dtype == np.float64
    np.testing.assert_array_equal(seconds, [[5] * 3, [14] * 3, [8] * 3])


def test_drift_hits_all_sizes_alike():
    machine = Machine(slower_per_call=0.01)
    seconds = time_calls(machine.call, (1, 8), 11, machine.clock)
    timing = fit_timing((1, 8), seconds)
    # The median calls of the two sizes are neighbours: 1 % apart, though the drift is 22 %.
    assert timing.fixed_cost / timing.per_microbatch == pytest.approx(2 / 3, abs=0.05)


def test_the_default_clock_is_in_seconds():
    assert (time_calls(lambda number: None, (1, 2), 3) < 1).all()


@given(size_lists, st.just(0.0) | positive, positive, st.integers(1, 4))
def test_an_exact_line_is_found(sizes, fixed_cost, per_microbatch, repeats):
    times = fixed_cost + per_microbatch * np.array(sizes)
    timing = fit_timing(sizes, np.tile(times[:, None], repeats))
    fitted = timing.fixed_cost + timing.per_microbatch * np.array(sizes)
    np.testing.assert_allclose(fitted, times, rtol=1e-9)
    assert timing.fixed_cost == pytest.approx(fixed_cost, abs=1e-9 * times.max())
    assert timing.spread == 0


@given(st.data(), size_lists)
def test_noisy_times_give_the_best_line_without_negative_parts(data, sizes):
    times = data.draw(st.lists(positive, min_size=len(sizes), max_size=len(sizes)))
    timing = fit_timing(sizes, np.array(times)[:, None])
    assert timing.fixed_cost >= 0
    assert timing.per_microbatch > 0
    design = np.stack([np.ones(len(sizes)), sizes], axis=1) / np.array(times)[:, None]
    (fixed_cost, per_microbatch), _ = nnls(design, np.ones(len(sizes)))
    if per_microbatch > 1e-6 * fixed_cost:  # nearer to 0 its sign is a matter of rounding
        fitted = design @ [timing.fixed_cost, timing.per_microbatch]
        np.testing.assert_allclose(fitted, design @ [fixed_cost, per_microbatch], rtol=1e-6)


def test_a_line_below_the_origin_is_refitted_through_it():
    timing = fit_timing((1, 2), [[1.0], [4.0]])
    assert timing.fixed_cost == 0
    assert timing.per_microbatch == pytest.approx((1 + 0.5) / (1 + 0.25))  # sum(n/t) / sum((n/t)^2)


def test_times_that_do_not_grow_give_the_median_cost():
    assert fit_timing((1, 2, 4), [[8.0], [6.0], [4.0]]) == Timing(0.0, 3.0, 0.0)


def test_outliers_do_not_matter_and_the_spread_is_relative():
    sizes = (1, 3)
    seconds = np.array([[2.0, 1.8, 2.2, 2.0, 90.0], [4.0, 3.6, 4.4, 70.0, 4.0]])
    timing = fit_timing(sizes, seconds)
    assert (timing.fixed_cost, timing.per_microbatch) == pytest.approx((1, 1))
    # Deviations: 0, 0.1, 0.1, 0, large; of each size.
    assert timing.spread == pytest.approx(0.1)
    assert fit_timing(sizes, seconds * 1e-3).spread == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("sizes", "seconds", "names_it"),
    [
        ((), np.ones((0, 1)), r"sizes are \[\]"),
        ((4,), [[1.0]], r"sizes are \[4\]; give at least two"),
        ((4, 4), [[1.0], [2.0]], r"sizes are \[4, 4\]"),
        ((0, 4), [[1.0], [2.0]], r"sizes are \[0, 4\].*>= 1"),
        ((1, 2), [[1.0], [np.nan]], "nan"),
        ((1, 2), [[np.inf], [1.0]], "inf"),
        ((1, 2), [[0.0], [1.0]], "above 0"),
        ((1, 2), [1.0, 2.0], r"shape \(2,\)"),
        ((1, 2), [[1.0], [2.0], [3.0]], r"shape \(3, 1\)"),
        ((1, 2), np.ones((2, 0)), r"shape \(2, 0\)"),
    ],
)
def test_unusable_times_are_named(sizes, seconds, names_it):
    with pytest.raises(ValueError, match=names_it):
        fit_timing(sizes, seconds)


def test_a_measured_profile_survives_its_file(tmp_path):
    timings = (Timing(0.25, 0.5, 0.01), Timing(0.0, 1 / 3, 0.2))
    profile = profile_of(timings, ("gpu", "cpu"))
    assert profile.names == ("gpu", "cpu")
    assert profile.speeds == (2, 3)
    assert profile.times((4, 4)) == pytest.approx((0.25 + 4 * 0.5, 4 / 3))
    path = tmp_path / "measured.json"
    path.write_text(json.dumps(profile.to_json()), encoding="utf-8")
    assert read_profile(path).devices == profile.devices
    assert read_profile(path).time_unit == profile.time_unit == "s"


def test_measured_to_profile_end_to_end():
    machine = Machine()
    seconds = time_calls(machine.call, (1, 6), 2, machine.clock)
    (device,) = profile_of([fit_timing((1, 6), seconds)], ["a"]).devices
    assert device.time(10) == pytest.approx(32)


def test_names_that_do_not_match_raise():
    with pytest.raises(ValueError, match="zip"):
        profile_of([Timing(0.0, 1.0, 0.0)], ["a", "b"])


@pytest.mark.parametrize(
    ("throughputs", "batch_size", "num_devices", "size"),
    [
        ({4: 100, 8: 200, 16: 150}, 192, 3, 8),  # the best
        ({4: 100, 8: 150, 16: 200}, 192, 3, 16),  # 192 = 4 * 3 * 16: just fine enough
        ({4: 100, 8: 150, 16: 200}, 191, 3, 8),
        ({4: 100, 8: 150, 16: 200}, 193, 3, 16),
        ({4: 97, 8: 99, 16: 100}, 192, 3, 4),  # within 3 % of the best the smallest
        ({4: 96.9, 8: 99, 16: 100}, 192, 3, 8),
        ({4: 96.9, 8: 99, 16: 100}, 191, 3, 4),  # near the best of those that are fine enough
        ({8: 100, 16: 200}, 95, 3, 8),  # none is fine enough
        ({16: 200, 8: 100}, 8, 1, 8),
        ({16: 100, 4: 100, 8: 100}, 1000, 1, 4),
        ({32: 5.0}, 32, 8, 32),
    ],
)
def test_the_microbatch_size_by_the_rule(throughputs, batch_size, num_devices, size):
    assert choose_microbatch_size(throughputs, batch_size, num_devices) == size


@pytest.mark.parametrize("throughputs", [{}, {8: 0.0}, {8: 10.0, 16: np.nan}, {8: np.inf}])
def test_unusable_throughputs_raise(throughputs):
    with pytest.raises(ValueError, match="throughputs are"):
        choose_microbatch_size(throughputs, 64, 2)
