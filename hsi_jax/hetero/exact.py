"""Sums that do not depend on their order, so that any split of the work gives the same bits.

Float32 sums depend on the order of their terms, and training amplifies the difference. Here every
term is scaled by a power of two and rounded to int64; integers add associatively, within a device's
loop and across devices; only the total becomes float32 again.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

FRACTION_BITS = 40  # resolution 2**-40 = 9e-13; sums up to 2**22 = 4e6

Tree = TypeVar("Tree")


def exact_sum(
    term: Callable[[jax.Array], Tree],
    count: jax.Array,
    max_terms: int,
    axis_name: str | None = None,
) -> Tree:
    """Sums term(0) .. term(count - 1) on each device, and over all devices, exactly.

    There is no collective inside the loop, so each device does its own terms and no more. At the
    end the whole tree is reduced as one vector.

    Args:
        term: maps an int32 index to a tree of float32 arrays.
        count: number of this device's terms, int32 []; devices may differ, and 0 is allowed.
        max_terms: upper bound of the number of terms of all devices together, static.
        axis_name: the pmapped axis, or None for one device alone.

    Returns:
        A tree like term's, float32, the same on every device. All NaN if any term had a value that
        is not finite or exceeds 2**22 / max_terms, where the integers could overflow.
    """
    return combine(accumulate(term, count, max_terms), term, axis_name)


def accumulate(term: Callable[[jax.Array], Tree], count: jax.Array, max_terms: int) -> jax.Array:
    """The first half of `exact_sum`, without communication: this device's own sum.

    Returns:
        Fixed-point sums, int64 [n + 1] (see `to_fixed`).
    """
    limit = term_limit(max_terms)
    zeros, _ = ravel_pytree(_zeros_like(term))

    def add(index, sums):
        with jax.enable_x64(False):
            vector, _ = ravel_pytree(term(index))
        return sums + to_fixed(vector, limit)

    with jax.enable_x64(True):
        return lax.fori_loop(jnp.int32(0), count, add, jnp.zeros(zeros.size + 1, jnp.int64))


def term_limit(max_terms: int) -> float:
    """The greatest magnitude of a term, for `max_terms` terms whose sum cannot overflow."""
    return 2.0 ** (62 - FRACTION_BITS) / max_terms


def combine(sums: jax.Array, term: Callable[[jax.Array], Tree], axis_name: str | None) -> Tree:
    """The second half of `exact_sum`: adds up what the devices have accumulated.

    Args:
        sums: this device's own, int64 [n + 1], from `accumulate`.
        term: as for `exact_sum`; only the shapes of its tree count.
        axis_name: as for `exact_sum`.
    """
    _, restore = ravel_pytree(_zeros_like(term))
    with jax.enable_x64(True):
        if axis_name is not None:
            sums = lax.psum(sums, axis_name)
        total = from_fixed(sums)
    # Keeps what follows in its own kernels: they must not depend on whether a psum stood here.
    return restore(lax.optimization_barrier(total))


def _zeros_like(term: Callable[[jax.Array], Tree]) -> Tree:
    shapes = jax.eval_shape(term, jax.ShapeDtypeStruct((), jnp.int32))
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def to_fixed(vector: jax.Array, limit: float) -> jax.Array:
    """Float32 [n] to fixed point, int64 [n + 1]; the last entry counts values beyond the limit.

    Call it, and `from_fixed`, within `jax.enable_x64(True)`.
    """
    sound = jnp.abs(vector) <= limit
    scaled = jnp.where(sound, vector, 0).astype(jnp.float64) * 2.0**FRACTION_BITS
    unsound = jnp.sum(~sound, dtype=jnp.int64)
    return jnp.append(jnp.round(scaled).astype(jnp.int64), unsound)


def from_fixed(sums: jax.Array) -> jax.Array:
    """Int64 [n + 1], as `to_fixed` makes them, to float32 [n]; all NaN if any value was unsound."""
    values = (sums[:-1].astype(jnp.float64) * 2.0**-FRACTION_BITS).astype(jnp.float32)
    return jnp.where(sums[-1] == 0, values, jnp.nan)
