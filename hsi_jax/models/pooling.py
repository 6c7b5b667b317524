"""Pooling with fast gradients: XLA:CPU's own for ``nn.max_pool`` is slow."""

from functools import reduce

import jax
import jax.numpy as jnp

from hsi_jax.errors import InputError


def max_pool(
    x: jax.Array,
    window: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    padding: int = 0,
) -> jax.Array:
    """Maximum over windows; what is beyond the last whole window is left out.

    Where maxima tie, they share the gradient.

    Args:
        x: [batch, *spatial, channels].
        window: size for each spatial dimension.
        strides: likewise; None is the window, so that windows do not overlap.
        padding: entries of minus infinity on each side of every spatial dimension.

    Returns:
        [batch, *spatial out, channels], as ``nn.max_pool``.

    Raises:
        InputError: if there is no whole window.
    """
    strides = strides or window
    if strides == window and padding == 0:
        return _split(x, window, jnp.max)
    if padding:
        spatial = ((padding, padding),) * len(window)
        x = jnp.pad(x, ((0, 0), *spatial, (0, 0)), constant_values=-jnp.inf)
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True), start=1):
        _check_size(x.shape[axis], size)
        reach = (x.shape[axis] - size) // stride * stride + 1
        shifted = [jax.lax.slice_in_dim(x, at, at + reach, stride, axis) for at in range(size)]
        x = reduce(jnp.maximum, shifted)
    return x


def mean_pool(x: jax.Array, window: tuple[int, ...]) -> jax.Array:
    """Mean over windows that do not overlap; otherwise as `max_pool`."""
    return _split(x, window, jnp.mean)


def _split(x, window, reduction):
    """Reduces an axis that each spatial dimension is split into, without any overlap."""
    shape = [x.shape[0]]
    reduced = []
    for axis, size in enumerate(window, start=1):
        whole = x.shape[axis] // size
        _check_size(x.shape[axis], size)
        x = jax.lax.slice_in_dim(x, 0, whole * size, axis=axis)
        shape += [whole, size]
        reduced.append(len(shape) - 1)
    return reduction(x.reshape(*shape, x.shape[-1]), axis=tuple(reduced))


def _check_size(size: int, window: int) -> None:
    if size < window:
        raise InputError(
            f"a side of {size} is too small to pool by {window}; give larger images or patches, "
            f"or a model or stem that divides their side less often"
        )
