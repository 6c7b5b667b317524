import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.train import OPTIMIZERS, SCHEDULES, Recipe, make_optimizer, make_schedule

PARAMS = {"kernel": jnp.array([[2.0, -4.0]]), "bias": jnp.array([3.0])}
GRADS = {"kernel": jnp.array([[0.5, 0.25]]), "bias": jnp.array([-1.0])}


def updates(optimizer, steps=1):
    state = optimizer.init(PARAMS)
    for _ in range(steps):
        change, state = optimizer.update(GRADS, state, PARAMS)
    return change


def test_sgd_with_momentum_and_decay():
    optimizer = make_optimizer("sgd", make_schedule("constant", 0.1, 10), 0.9, weight_decay=0.01)
    change = updates(optimizer, steps=2)
    decayed = np.array([[0.5, 0.25]]) + 0.01 * np.array([[2.0, -4.0]])
    np.testing.assert_allclose(change["kernel"], -0.1 * 1.9 * decayed, rtol=1e-6)
    np.testing.assert_allclose(change["bias"], [0.1 * 1.9], rtol=1e-6)


@pytest.mark.parametrize(("name", "decay"), [("adam", 0.0), ("adamw", 0.01)])
def test_the_first_step_of_adam_is_the_learning_rate(name, decay):
    change = updates(make_optimizer(name, make_schedule("constant", 0.1, 10), 0.9, decay))
    kernel = -0.1 * (np.array([[1.0, 1.0]]) + decay * np.array([[2.0, -4.0]]))
    np.testing.assert_allclose(change["kernel"], kernel, rtol=1e-5)
    np.testing.assert_allclose(change["bias"], [0.1], rtol=1e-5)


def test_schedules_by_closed_form():
    rates = {
        "constant": lambda t: 0.2,
        "linear": lambda t: 0.2 * (1 - t / 100),
        "cosine": lambda t: 0.1 * (1 + math.cos(math.pi * t / 100)),
        "warmup_cosine": lambda t: (
            0.2 * t / 5 if t < 5 else 0.1 * (1 + math.cos(math.pi * (t - 5) / 95))
        ),
    }
    assert set(rates) == set(SCHEDULES)
    for name, rate in rates.items():
        schedule = make_schedule(name, 0.2, 100)
        for step in (0, 1, 4, 5, 6, 50, 99, 100):
            assert float(schedule(step)) == pytest.approx(rate(step), abs=1e-7)


def test_unknown_names_list_what_there_is():
    with pytest.raises(InputError, match=", ".join(OPTIMIZERS)):
        make_optimizer("lion", lambda step: 0.1)
    with pytest.raises(InputError, match=", ".join(SCHEDULES)):
        make_schedule("step", 0.1, 10)
    with pytest.raises(InputError, match="above 0"):
        make_schedule("constant", 0.0, 10)


def test_long_gradients_are_shortened_and_short_ones_are_not():
    params = {"a": np.zeros(3, np.float32), "b": np.zeros(1, np.float32)}
    recipe = Recipe(optimizer="sgd", schedule="constant", learning_rate=1.0, momentum=0.0)
    for clip_norm, length in ((0.0, 5.0), (2.0, 2.0), (9.0, 5.0)):
        optimizer = replace(recipe, clip_norm=clip_norm).make_optimizer(1)
        grads = {"a": np.array([3.0, 0, 0], np.float32), "b": np.array([4.0], np.float32)}
        taken, _ = optimizer.update(grads, optimizer.init(params), params)
        lengths = [np.linalg.norm(leaf) for leaf in jax.tree.leaves(taken)]
        assert np.linalg.norm(lengths) == pytest.approx(length)
