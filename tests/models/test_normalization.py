import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.models.normalization import BatchNorm
from tests.models.narrow import quick_jit

MAX_BATCH = 5


def run(layer, x, mask, weights):
    """Outputs, new statistics, and gradients of a weighted sum by x and parameters."""
    channels = x.shape[-1]
    rng = np.random.default_rng(1)
    params = {name: rng.normal(size=channels).astype(np.float32) for name in ("scale", "bias")}
    stats = {"mean": params["bias"], "var": np.square(params["scale"])}

    @quick_jit
    def compute(params, x):
        def apply(params, x):
            variables = {"params": params, "batch_stats": stats}
            return layer.apply(variables, x, mask=mask, mutable=["batch_stats"])

        y, pullback, new = jax.vjp(apply, params, x, has_aux=True)
        return y, new, pullback(jnp.asarray(weights, y.dtype))

    return compute(params, x)


def check(shape, num_samples, *, running=False, dtype=jnp.float32, tolerance=2e-5):
    rng = np.random.default_rng(0)
    x = (3 + rng.normal(size=shape)).astype(np.float32)
    weights = rng.normal(size=shape).astype(np.float32)
    mask = None
    if num_samples is not None:
        mask = (np.arange(shape[0]) < num_samples).astype(np.float32)
        mask = mask.reshape(-1, *[1] * (len(shape) - 1))
    ours = BatchNorm(running, dtype=dtype)
    flax = nn.BatchNorm(running, momentum=0.9, dtype=dtype)
    pairs = zip(
        jax.tree.leaves(run(ours, x, mask, weights)),
        jax.tree.leaves(run(flax, x, mask, weights)),
        strict=True,
    )
    for actual, expected in pairs:
        assert actual.dtype == expected.dtype
        expected = np.asarray(expected, np.float32)
        scale = max(np.abs(expected).max(), 1)
        actual = np.asarray(actual, np.float32)
        np.testing.assert_allclose(actual, expected, atol=tolerance * scale)


@pytest.mark.parametrize("num_samples", [None, MAX_BATCH, MAX_BATCH - 1, 1])
@pytest.mark.parametrize("shape", [(MAX_BATCH, 3, 4, 6), (MAX_BATCH, 4, 2)])
def test_values_statistics_and_gradients_are_those_of_flax(shape, num_samples):
    check(shape, num_samples)


@given(
    st.lists(st.integers(2, 5), min_size=3, max_size=4),
    st.integers(1, 5),
)
@settings(max_examples=8)
def test_any_shape(shape, num_samples):
    check(tuple(shape), min(num_samples, shape[0]))


def test_running_statistics_are_those_of_flax():
    check((4, 3, 3, 5), None, running=True)


def test_bfloat16_is_computed_in_float32():
    check((4, 3, 3, 5), 3, dtype=jnp.bfloat16, tolerance=1e-2)


def test_the_names_of_its_variables_are_those_of_flax():
    x = jnp.zeros((1, 2, 2, 3))
    ours, flax = (
        jax.eval_shape(layer(use_running_average=False).init, jax.random.key(0), x)
        for layer in (BatchNorm, nn.BatchNorm)
    )
    assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, flax)
