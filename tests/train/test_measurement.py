"""Throughputs of several microbatch sizes, by a clock that the test turns."""

import numpy as np
import optax
import pytest

from hsi_jax.models import find_model
from hsi_jax.train import measure_throughputs, measurement
from tests.train.small_scene import CLASSES

IDS = np.arange(40, dtype=np.int32)


def test_every_size_is_measured_on_the_same_samples_by_all_devices(
    replicas_of, state_of, monkeypatch
):
    calls = []

    def time_calls(call, sizes, repeats):
        for size in sizes:
            call(size)
        calls.append(list(sizes))
        return np.full((len(sizes), repeats), 0.02 * np.array(sizes)[:, None])

    monkeypatch.setattr(measurement, "time_calls", time_calls)
    state = state_of(find_model("mlp")(CLASSES), 1, optax.sgd(0.1))
    rates = measure_throughputs(replicas_of("2:1"), state, IDS, [4, 8, 16])
    # Twice the largest size, on two devices, in 20 ms.
    assert rates == {size: pytest.approx(2 * 32 / 0.02) for size in (16,)} | {
        size: pytest.approx(2 * 16 / 0.02) for size in (4, 8)
    }
    assert calls == [[1], [5]] * 3  # 5 passes make 0.1 s


def test_a_throughput_is_a_positive_number(replicas_of, state_of):
    state = state_of(find_model("mlp")(CLASSES), 1, optax.sgd(0.1))
    rates = measure_throughputs(replicas_of("1"), state, IDS[:3], [3])
    assert list(rates) == [3]
    assert 0 < rates[3] < 1e9
