import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.train.drift import digest_step
from hsi_jax.train.state import create_loss_state

VALUES = np.random.default_rng(0).normal(size=7).astype(np.float32)


@pytest.fixture(scope="module")
def digest():
    state = create_loss_state(lambda params, batch, key: batch, {}, optax.sgd(1.0), seed=0)
    call = jax.jit(digest_step)

    def of(values):
        params = {"a": jnp.asarray(values[:4]), "b": jnp.asarray(values[4:])}
        return int(call(state.replace(params=params)))

    return of


@given(place=st.integers(0, 6), bit=st.integers(0, 31))
def test_any_bit_that_is_flipped_is_noticed(digest, place, bit):
    bits = VALUES.view(np.uint32).copy()
    bits[place] ^= np.uint32(1 << bit)
    assert digest(bits.view(np.float32)) != digest(VALUES)


def test_values_that_change_places_are_noticed(digest):
    assert digest(VALUES[[1, 0, 2, 3, 4, 5, 6]]) != digest(VALUES)
    assert digest(VALUES.copy()) == digest(VALUES)
