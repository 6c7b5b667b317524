"""Parameters that are frozen keep their bits, and the optimiser keeps nothing for them."""

import jax
import numpy as np
import optax
import pytest
from flax import traverse_util

from hsi_jax.models import find_model
from hsi_jax.models.encoder import find_head
from hsi_jax.train.state import count_parameters
from tests.train.small_scene import BANDS, CLASSES, assert_same_bits

SIZES = {"features": (4, 4, 4), "hidden": 6}


def named(tree):
    return traverse_util.flatten_dict(tree, sep="/")


@pytest.fixture
def frozen(state_of):
    module = find_model("cnn2d")(CLASSES, **SIZES)
    state = state_of(module, 3, optax.adam(0.05))
    # Statistics that the data do not have.
    state = state.replace(batch_stats=jax.tree.map(lambda leaf: 0 * leaf + 0.05, state.batch_stats))
    minus_zero = jax.tree.map(lambda leaf: np.where(leaf == 0, -0.0, leaf), state.params)
    state = state.replace(params=minus_zero)  # to which a sum with 0 would give another bit
    head = find_head("cnn2d", CLASSES, SIZES, (3, 3, BANDS))
    return state.freeze(frozenset(named(state.params)) - head), head


@pytest.mark.parametrize("profile", ["1", "2:1:1"])
def test_only_the_head_changes(frozen, machine_of, profile):
    state, head = frozen
    machine = machine_of(profile, 40, patch_size=3)
    fitted = machine.fit(state, np.arange(100, dtype=np.int32), 4, seed=0)
    before, after = named(state.params), named(fitted.state.params)
    for name in before:
        same = np.asarray(before[name]).tobytes() == np.asarray(after[name]).tobytes()
        assert same == (name not in head), name
    assert_same_bits(fitted.state.batch_stats, state.batch_stats)
    assert len(set(fitted.losses)) == 4


def test_every_split_gives_the_same_bits(frozen, machine_of):
    state, _ = frozen
    one, other = (
        machine_of(profile, 42, patch_size=3).fit(state, np.arange(100, dtype=np.int32), 4, seed=0)
        for profile in ("1", "5:1")
    )
    assert one.losses == other.losses
    assert_same_bits(one.state, other.state)


def test_the_optimiser_keeps_nothing_for_frozen_parameters(frozen):
    state, head = frozen
    kept = state.opt_state[0].mu
    assert set(named(kept)) == head
    assert count_parameters(state) == sum(named(state.params)[name].size for name in head)


def test_a_frozen_network_is_as_in_prediction(frozen, gradient_of):
    """The loss is the cross-entropy of what it predicts, with the running statistics."""
    state, _ = frozen
    inputs = np.random.default_rng(0).normal(size=(6, 3, 3, BANDS)).astype(np.float32)
    labels = np.arange(6) % CLASSES
    logits = state.task.logits(state.params, state.batch_stats, inputs)
    keys = jax.random.split(jax.random.key(0), 6)
    losses, statistics = state.task.losses(
        state.params,
        state.batch_stats,
        (inputs, labels),
        mask=np.ones(6, np.float32),
        key=keys[0],
        sample_keys=keys,
    )
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    assert statistics == {}
