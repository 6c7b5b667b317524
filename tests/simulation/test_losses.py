"""The cost of lost devices against a simulation of single losses."""

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.simulation.losses import DAY, Losses

INTERVALS = 4000


def time_to_train(needed, rate, rng):
    """Seconds until `needed` seconds in a row have passed without a loss."""
    spent = 0.0
    while (until := rng.exponential(1 / rate)) < needed:
        spent += until
    return spent + needed


def simulate_restarts(losses, devices):
    """Goodput of checkpoint intervals, each repeated from its start after a restart."""
    rng, rate = np.random.default_rng(0), losses.per_device_second * devices
    total = 0.0
    for _ in range(INTERVALS):
        while (until := rng.exponential(1 / rate)) < losses.checkpoint_seconds:
            total += until + time_to_train(losses.restart_seconds, rate, rng)
        total += losses.checkpoint_seconds
    return INTERVALS * losses.checkpoint_seconds / total


def simulate_finishing(losses, devices):
    """Goodput where a loss costs a recovery, which a further loss begins anew."""
    rng, rate = np.random.default_rng(0), losses.per_device_second * devices
    trained = lost = 0.0
    for _ in range(INTERVALS):
        trained += rng.exponential(1 / rate)
        lost += time_to_train(losses.recovery_seconds, rate, rng)
    return trained / (trained + lost)


@pytest.mark.parametrize("devices", [16, 256, 4096])
def test_both_are_those_of_simulated_losses(devices):
    losses = Losses(losses_per_device_day=0.2, recovery_seconds=30, replace_seconds=0)
    found = losses.goodput_finishing(devices), losses.goodput_restarting(devices)
    expected = simulate_finishing(losses, devices), simulate_restarts(losses, devices)
    np.testing.assert_allclose(found, expected, rtol=0.1, atol=0.002)


def test_a_device_that_is_missing_does_nothing():
    losses = Losses(losses_per_device_day=1.0, recovery_seconds=0, replace_seconds=DAY)
    assert losses.goodput_finishing(8) == pytest.approx(0.5)


def test_without_losses_nothing_is_lost():
    for devices in (1, 10**5):
        assert Losses().goodput_finishing(devices) == Losses().goodput_restarting(devices) == 1


def test_where_losses_come_faster_than_restarts_nothing_is_trained():
    losses = Losses(losses_per_device_day=1e3)
    assert losses.goodput_restarting(10**5) == 0
    with pytest.raises(InputError, match="losses_per_device_day"):
        Losses(losses_per_device_day=-1.0)
