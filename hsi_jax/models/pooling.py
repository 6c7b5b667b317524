"""Pooling with fast gradients: XLA:CPU's gradient of ``nn.max_pool`` is slow."""

from collections.abc import Callable
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
    """Maximum over windows; entries beyond the last whole window are left out.

    Equal maxima share the gradient.

    Args:
        x: [batch, *spatial, channels].
        window: size for each spatial dimension.
        strides: step for each spatial dimension; None is the window's size, without overlap.
        padding: entries of minus infinity on each side of every spatial dimension.

    Returns:
        [batch, *spatial out, channels], as ``nn.max_pool``.

    Raises:
        InputError: if there is no whole window.
    """
    strides = strides or window
    if strides == window and padding == 0:
        return _reduce_windows(x, window, jnp.max)
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
    """Mean over windows that do not overlap.

    Args:
        x: [batch, *spatial, channels].
        window: size for each spatial dimension.

    Returns:
        [batch, *spatial out, channels], as ``nn.avg_pool``.

    Raises:
        InputError: if there is no whole window.
    """
    return _reduce_windows(x, window, jnp.mean)


def _reduce_windows(
    x: jax.Array, window: tuple[int, ...], reduction: Callable[..., jax.Array]
) -> jax.Array:
    """Splits each spatial dimension into windows and reduces each window."""
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
            f"a side of {size} is too small to pool by {window}; raise `patch_size` or "
            f"`image_size`, or choose a `model` or stem that divides the side less often"
        )
