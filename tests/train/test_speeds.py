"""Speeds before training, by a clock that the test turns; which steps are timed while it runs."""

import numpy as np
import optax
import pytest

from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.hetero.controller import Controller
from hsi_jax.models import find_model
from hsi_jax.train import measure_throughputs, speeds
from hsi_jax.train.speeds import Rebalancing
from tests.train.small_scene import CLASSES


class Scripted:
    """Stands for a controller that is settled or not as it is told, and keeps the shares."""

    def __init__(self, *settled):
        self.answers = list(settled)

    def observe(self, shares, seconds):
        self.settled = self.answers.pop(0)


def timed_steps(rebalancing, steps, shares="1:1", truth=lambda step: (1.0, 1.0)):
    """The numbers of the timed steps, and the shares after each step."""
    plan = make_plan("balanced", parse_profile(shares), 24, 1)
    history = []
    for step in range(steps):
        if rebalancing.is_due(step):
            seconds = np.array(plan.shares) * truth(step)
            plan = rebalancing.observe(step, plan, seconds)
        history.append(plan.shares)
    return [record.step for record in rebalancing.records], history


def test_settled_devices_are_timed_once_in_every():
    assert timed_steps(Rebalancing(Scripted(*[True] * 4), 5), 20)[0] == [4, 9, 14, 19]


def test_devices_that_are_not_as_expected_are_timed_soon_again():
    controller = Scripted(True, False, False, True, True)
    assert timed_steps(Rebalancing(controller, 20), 62)[0] == [19, 39, 41, 43, 59]


def test_devices_that_never_settle_are_timed_for_ten_steps_at_most():
    controller = Scripted(*[False] * 12)
    expected = [19, 21, 23, 25, 27, 29, 39, 41, 43, 45, 47, 49]
    assert timed_steps(Rebalancing(controller, 20), 50)[0] == expected


def test_without_a_controller_devices_are_timed_and_keep_their_shares():
    steps, history = timed_steps(Rebalancing(None, 7), 21, "2:1")
    assert steps == [6, 13, 20]
    assert set(history) == {(16, 8)}


@pytest.mark.parametrize("factor", [1.35, 1.45, 2, 3, 10])
def test_shares_settle_within_ten_steps_of_the_first_measurement(factor):
    # Device 1 is slower from step 25 on; step 39 is the first measurement that can show it.
    controller = Controller(parse_profile("1:1"), 24, 1)

    def truth(step):
        return (1.0, factor if step >= 25 else 1.0)

    steps, history = timed_steps(Rebalancing(controller, 20), 100, truth=truth)
    assert 39 in steps
    assert history[38] == (12, 12)
    best = min(max(share, (24 - share) * factor) for share in range(25))
    noise = 1.05 / 0.95
    assert max(history[49][0], history[49][1] * factor) <= noise * best
    assert len(set(history[49:])) == 1


IDS = np.arange(40, dtype=np.int32)


@pytest.mark.long
@pytest.mark.slow
def test_every_size_is_measured_on_the_same_samples_by_all_devices(
    machine_of, state_of, monkeypatch
):
    calls = []

    def time_calls(call, sizes, repeats):
        for size in sizes:
            call(size)
        calls.append(list(sizes))
        return np.full((len(sizes), repeats), 0.02 * np.array(sizes)[:, None])

    monkeypatch.setattr(speeds, "time_calls", time_calls)
    state = state_of(find_model("mlp")(CLASSES), 1, optax.sgd(0.1))
    rates = measure_throughputs(machine_of("2:1").replicas, state, IDS, [4, 8, 16])
    # Twice the largest size, on two devices, in 20 ms.
    assert rates == {size: pytest.approx(2 * 32 / 0.02) for size in (16,)} | {
        size: pytest.approx(2 * 16 / 0.02) for size in (4, 8)
    }
    assert calls == [[1], [5]] * 3  # 5 passes make 0.1 s


@pytest.mark.long
def test_a_throughput_is_a_positive_number(machine_of, state_of):
    state = state_of(find_model("mlp")(CLASSES), 1, optax.sgd(0.1))
    rates = measure_throughputs(machine_of("1").replicas, state, IDS[:3], [3])
    assert list(rates) == [3]
    assert 0 < rates[3] < 1e9
