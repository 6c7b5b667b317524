"""Pooling with fast gradients: XLA:CPU's gradient of ``nn.max_pool`` is slow."""

from functools import reduce
from itertools import chain, product

import jax
import jax.numpy as jnp

from hsi_jax.errors import InputError


@jax.named_scope("max_pool")
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
        return _max_windows(_split_windows(x, window))
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
    return jnp.mean(_split_windows(x, window), axis=tuple(range(2, 2 + 2 * len(window), 2)))


def _split_windows(x: jax.Array, window: tuple[int, ...]) -> jax.Array:
    """Splits each spatial dimension in two, [..., whole windows, size of the window, ...]."""
    shape = [x.shape[0]]
    for axis, size in enumerate(window, start=1):
        whole = x.shape[axis] // size
        _check_size(x.shape[axis], size)
        x = jax.lax.slice_in_dim(x, 0, whole * size, axis=axis)
        shape += [whole, size]
    return x.reshape(*shape, x.shape[-1])


@jax.custom_vjp
def _max_windows(x: jax.Array) -> jax.Array:
    """The maxima of what `_split_windows` returns."""
    return reduce(jnp.maximum, _entries(x))


def _max_windows_forward(x):
    maxima = _max_windows(x)
    return maxima, (x, maxima)


def _max_windows_backward(residuals, grad):
    x, maxima = residuals
    # Compared entry by entry: XLA:CPU is slow to reduce the windows of a comparison.
    share = grad / reduce(jnp.add, [(entry == maxima).astype(x.dtype) for entry in _entries(x)])
    sizes = tuple(range(2, x.ndim - 1, 2))
    maxima, share = (jnp.expand_dims(array, sizes) for array in (maxima, share))
    return (jnp.where(x == maxima, share, 0),)


_max_windows.defvjp(_max_windows_forward, _max_windows_backward)


def _entries(x: jax.Array) -> list[jax.Array]:
    """The first entry of every window, the second of every window, and so on."""
    every = slice(None)
    places = product(*(range(size) for size in x.shape[2:-1:2]))
    return [x[(every, *chain(*((every, at) for at in place)))] for place in places]


def _check_size(size: int, window: int) -> None:
    if size < window:
        raise InputError(
            f"a side of {size} is too small to pool by {window}; raise `patch_size` or "
            f"`image_size`, or choose a `model` or stem that divides the side less often"
        )
