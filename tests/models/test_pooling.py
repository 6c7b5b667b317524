from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from hsi_jax.models.pooling import max_pool


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((5,), (3,)),
        ((6,), (3,)),
        ((7,), (3,)),
        ((4,), (1,)),
        ((2,), (2,)),
        ((5, 4), (2, 2)),
        ((6, 5), (2, 3)),
        ((7, 6), (2, 3)),
        ((3, 5, 4), (2, 5, 3)),
    ],
)
def test_value_and_gradient_are_those_of_flax(size, window):
    rng = np.random.default_rng(0)
    shape = (2, *size, 3)
    # Negative and unlike: no ties, and a padded 0 would win.
    x = -1 - rng.permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    pooled = (2, *(n // w for n, w in zip(size, window, strict=True)), 3)
    weights = rng.normal(size=pooled).astype(np.float32)

    @partial(jax.jit, static_argnums=0)
    def value_and_gradient(pool, x):
        out, pullback = jax.vjp(pool, x)
        return out, pullback(weights)[0]

    expected = value_and_gradient(lambda x: nn.max_pool(x, window, window), x)
    actual = value_and_gradient(lambda x: max_pool(x, window), x)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])


def test_the_gradient_of_a_tie_is_shared_and_keeps_its_sum():
    gradient = jax.grad(lambda x: jnp.sum(max_pool(x, (2, 2))))(jnp.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient, np.full((1, 2, 2, 1), 0.25))
