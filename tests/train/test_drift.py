import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.train.digest import digest as digest_of
from hsi_jax.train.drift import digest_step
from hsi_jax.train.state import create_loss_state

VALUES = np.random.default_rng(0).normal(size=7).astype(np.float32)
CALL = jax.jit(digest_step)


@pytest.fixture(scope="module")
def state():
    params = {"a": jnp.asarray(VALUES[:4]), "b": jnp.asarray(VALUES[4:])}
    optimizer = optax.adam(1.0, mu_dtype=jnp.bfloat16)
    return create_loss_state(lambda params, batch, key: batch, params, optimizer, seed=0)


@pytest.fixture(scope="module")
def digest(state):
    def of(values):
        params = {"a": jnp.asarray(values[:4]), "b": jnp.asarray(values[4:])}
        return CALL(state.replace(params=params)).tolist()

    return of


@given(place=st.integers(0, 6), bit=st.integers(0, 31))
def test_any_bit_that_is_flipped_is_noticed(digest, place, bit):
    bits = VALUES.view(np.uint32).copy()
    bits[place] ^= np.uint32(1 << bit)
    assert digest(bits.view(np.float32)) != digest(VALUES)


@given(places=st.sets(st.integers(0, 6), min_size=2), bit=st.integers(0, 31))
def test_several_flips_of_one_bit_do_not_cancel(digest, places, bit):
    bits = VALUES.view(np.uint32).copy()
    bits[list(places)] ^= np.uint32(1 << bit)
    assert digest(bits.view(np.float32)) != digest(VALUES)


def test_values_that_change_places_are_noticed(digest):
    assert digest(VALUES[[1, 0, 2, 3, 4, 5, 6]]) != digest(VALUES)
    assert digest(VALUES.copy()) == digest(VALUES)


def test_arrays_that_change_places_are_noticed():
    arrays = [jnp.asarray(VALUES), jnp.asarray(-VALUES)]
    assert digest_of(arrays).tolist() != digest_of(arrays[::-1]).tolist()
    apart = [jnp.asarray(VALUES[:3]), jnp.asarray(VALUES[3:]).reshape(2, 2)]
    assert digest_of(apart).tolist() == digest_of([jnp.asarray(VALUES)]).tolist()
    assert digest_of([]).tolist() == [0, 0]


def test_every_leaf_of_the_state_counts(state):
    usual = np.asarray(CALL(state))
    state = state.replace(digest=None)  # which is of the sums of the last step
    leaves, tree = jax.tree.flatten(state)
    of_optimizer = len(jax.tree.leaves(state.opt_state))
    changed = {"optimizer": 0, "rest": 0}
    for number, leaf in enumerate(leaves):
        others = [*leaves]
        others[number] = leaf + jnp.ones((), jnp.asarray(leaf).dtype)
        of_part, of_rest = (np.asarray(CALL(tree.unflatten(others))) != usual).all(1)
        assert of_part != of_rest
        changed["optimizer" if of_part else "rest"] += 1
    assert changed == {"optimizer": of_optimizer, "rest": len(leaves) - of_optimizer}
    assert of_optimizer == 5  # count, and two moments of each of two arrays
    assert len(leaves) == of_optimizer + 4  # step, seed, and two arrays
