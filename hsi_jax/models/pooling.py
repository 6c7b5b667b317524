"""Max-pooling with a fast gradient: XLA:CPU's own for ``nn.max_pool`` is slow."""

import jax


def max_pool(x: jax.Array, window: tuple[int, ...]) -> jax.Array:
    """Maximum over windows that do not overlap; rows beyond the last whole window are left out.

    Args:
        x: [batch, *spatial, channels].
        window: size, and stride, for each spatial dimension.

    Returns:
        [batch, *(spatial // window), channels], as ``nn.max_pool(x, window, window)``.
    """
    shape = [x.shape[0]]
    reduced = []
    for axis, size in enumerate(window, start=1):
        whole = x.shape[axis] // size
        x = jax.lax.slice_in_dim(x, 0, whole * size, axis=axis)
        shape += [whole, size]
        reduced.append(len(shape) - 1)
    return x.reshape(*shape, x.shape[-1]).max(axis=tuple(reduced))
