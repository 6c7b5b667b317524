"""Batch normalisation with few passes over memory."""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

# The type of activations; parameters, statistics and logits are float32 in any case.
DType = Literal["float32", "bfloat16"]


class BatchNorm(nn.Module):
    """Normalises each channel by the statistics of the samples that the mask leaves.

    Parameters, statistics and results are those of ``flax.linen.BatchNorm``. Its gradient is
    written by hand: XLA:CPU makes ten passes over memory of it where Flax's takes seventeen.

    Attributes:
        use_running_average: normalise by the running statistics, which then stay as they are.
        momentum: of the running statistics.
        dtype: of the result; it is computed in float32.
        scale_init: initialiser of the scale.
        epsilon: added to the variance.
    """

    use_running_average: bool
    momentum: float = 0.9
    dtype: DType = "float32"
    scale_init: nn.initializers.Initializer = nn.initializers.ones
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """Maps [batch, ..., c], mask [batch, 1, ..., 1], to the same shape."""
        channels = x.shape[-1:]
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        var = self.variable("batch_stats", "var", jnp.ones, channels)
        scale = self.param("scale", self.scale_init, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        if self.use_running_average:
            factor = scale * jax.lax.rsqrt(var.value + self.epsilon)
            return ((x - mean.value) * factor + bias).astype(self.dtype)
        weights = jnp.ones((x.shape[0], *[1] * (x.ndim - 1))) if mask is None else mask
        found: Any = normalize(x.astype(jnp.float32), (scale, bias), weights, self.epsilon)
        y, *statistics = found
        if not self.is_initializing():
            for running, new in zip((mean, var), statistics, strict=True):
                new = jax.lax.stop_gradient(new)
                running.value = self.momentum * running.value + (1 - self.momentum) * new
        return y.astype(self.dtype)


def batch_norm(
    x: jax.Array,
    *,
    train: bool,
    mask: jax.Array | None,
    epsilon: float = 1e-5,
    dtype: DType = "float32",
) -> jax.Array:
    """`BatchNorm` inside a compact `__call__`, whose parameters it adds.

    Args:
        x: [batch, ..., channels].
        train: whether by the statistics of these samples, or by the running ones.
        mask: 1 for a sample, 0 for padding, [batch], or None.
        epsilon: added to the variance.
        dtype: of the result; it is computed in float32.
    """
    samples = None if mask is None else mask.reshape(-1, *(1,) * (x.ndim - 1))
    return BatchNorm(not train, epsilon=epsilon, dtype=dtype)(x, mask=samples)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalize(
    x: jax.Array, affine: tuple[jax.Array, jax.Array], weights: jax.Array, epsilon: float = 1e-5
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises each channel; the statistics that it returns have no gradient.

    Args:
        x: float32 [batch, ..., c].
        affine: scale and bias, float32 [c] each.
        weights: 1 for a sample that counts and 0 for another, float32 [batch, 1, ..., 1].
        epsilon: added to the variance.

    Returns:
        float32 [batch, ..., c], and the mean and the variance of each channel, float32 [c].
    """
    return _normalize_forward(x, affine, weights, epsilon)[0]


def _normalize_forward(x, affine, weights, epsilon):
    scale, bias = affine
    weighted = x * weights
    count = jnp.sum(weights) * (x.size // (x.shape[0] * x.shape[-1]))
    mean = _sum(weighted) / count
    var = jnp.maximum(_sum(x * weighted) / count - jnp.square(mean), 0)
    inverse = jax.lax.rsqrt(var + epsilon)
    y = (x - mean) * (scale * inverse) + bias
    return (y, mean, var), (x, scale, mean, inverse, weights / count)


def _normalize_backward(epsilon, residuals, cotangents):
    x, scale, mean, inverse, parts = residuals
    grad, _, _ = cotangents
    centred = (x - mean) * inverse
    # A reduction whose terms are products is fused with them; others XLA:CPU gives to a library.
    bias_grad, scale_grad = _sum(grad * jnp.ones_like(parts)), _sum(grad * centred)
    x_grad = scale * inverse * (grad - parts * (bias_grad + centred * scale_grad))
    return x_grad, (scale_grad, bias_grad), None


normalize.defvjp(_normalize_forward, _normalize_backward)


def _sum(x):
    return jnp.sum(x, axis=tuple(range(x.ndim - 1)))
