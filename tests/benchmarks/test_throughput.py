import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from benchmarks.measure import Watch
from benchmarks.throughput import SIZES, measure, rates
from benchmarks.throughput_steps import NETWORKS, count_gigaflops


class Small(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(5, (3, 2), padding="VALID")(x)
        return nn.Dense(7)(jnp.reshape(x, (len(x), -1)))


def test_the_arithmetic_of_training_is_counted():
    convolution = 2 * (4 * 5) * (3 * 2 * 3) * 5  # outputs of a map, taps and channels, features
    dense = 2 * (4 * 5 * 5) * 7
    expected = 2 * convolution + 3 * dense  # without the gradient of the inputs
    assert count_gigaflops(Small(), (6, 6, 3)) == pytest.approx(1e-9 * expected)


def test_both_programs_know_the_same_networks():
    assert set(SIZES) == set(NETWORKS)


def test_the_rates_are_of_all_steps():
    assert rates(np.array([1.0, 2, 3, 4, 10])) == {"median": 3, "best": 10, "quartiles": [2, 4]}


class Instant:
    """A side whose steps take no time."""

    def __init__(self):
        self.asked = 0

    def times(self, network, size, seconds):
        self.asked += 1
        return [1.0]


def test_a_benchmark_without_time_measures_once_and_tells_the_load():
    side, watch = Instant(), Watch(minutes=0)
    measured = measure({"xla": side}, "cnn1d", 5, watch)
    assert measured["xla"]["median"] == 1
    assert side.asked == len(SIZES["cnn1d"][0]) + 1
    assert watch.describe_load().startswith("other programs used ")
    assert Watch().left == float("inf")
