from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from hsi_jax.errors import InputError
from hsi_jax.kernels.pooling import max_pool, mean_pool
from tests.models.narrow import quick_jit


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
    check(lambda x: max_pool(x, window), lambda x: nn.max_pool(x, window, window), size)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(
    ("size", "window", "strides"),
    [
        ((5,), (3,), (2,)),
        ((6,), (3,), (2,)),
        ((7, 8), (3, 3), (2, 2)),
        ((8, 9), (3, 3), (1, 1)),
        ((9, 7), (2, 3), (3, 1)),  # a stride larger than the window
        ((3, 3), (3, 3), (2, 2)),  # a single window
        ((6, 4), (2, 2), (2, 2)),
    ],
)
def test_overlapping_windows_are_those_of_flax(size, window, strides, padding):
    pads = ((padding, padding),) * len(size)
    check(
        lambda x: max_pool(x, window, strides, padding),
        # Flax takes pairs of numbers as well, but its annotation names strings only.
        lambda x: nn.max_pool(x, window, strides, pads),  # pyright: ignore[reportArgumentType]
        size,
    )


@pytest.mark.parametrize(("size", "window"), [((5,), (3,)), ((7, 6), (2, 3)), ((2, 2), (2, 2))])
def test_the_mean_is_that_of_flax(size, window):
    check(lambda x: mean_pool(x, window), lambda x: nn.avg_pool(x, window, window), size, rtol=1e-6)


def check(ours, reference, size, rtol=0.0):
    rng = np.random.default_rng(0)
    shape = (2, *size, 3)
    # Negative and unlike: no ties, and a padded 0 would win.
    x = -1 - rng.permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    weights = rng.normal(size=jax.eval_shape(reference, x).shape).astype(np.float32)

    @partial(quick_jit, static_argnums=0)
    def value_and_gradient(pool, x):
        out, pullback = jax.vjp(pool, x)
        return out, pullback(weights)[0]

    expected = value_and_gradient(reference, x)
    actual = value_and_gradient(ours, x)
    assert expected[0].size > 0
    np.testing.assert_allclose(actual[0], expected[0], rtol=rtol)
    # An entry may get its gradient from several windows, added in another order.
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: max_pool(x, (2, 2)),
        lambda x: mean_pool(x, (2, 2)),
        lambda x: max_pool(x, (4, 3), (2, 2), padding=1),
    ],
)
def test_without_a_whole_window_it_is_told(pool):
    with pytest.raises(InputError, match="`patch_size`"):
        pool(jnp.zeros((1, 1, 3, 2)))


def test_the_gradient_of_a_tie_is_shared_and_keeps_its_sum():
    gradient = jax.grad(lambda x: jnp.sum(max_pool(x, (2, 2))))(jnp.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient, np.full((1, 2, 2, 1), 0.25))
