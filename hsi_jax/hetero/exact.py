"""Sums that do not depend on their order, so that any split of the work gives the same bits.

Float32 sums depend on the order of their terms, and training amplifies the difference. Here every
term is scaled by a power of two and rounded to int64; integers add associatively, within a device's
loop and across devices; only the total becomes float32 again.

Between devices most numbers travel as 32 bits. The low halves of 64-bit integers add up to the low
half of their sum, and a small sum is its low half. Numbers that might add up to more are counted
with the sum; if there is one, all 64 bits are sent after all. So the result is the same.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

FRACTION_BITS = 32  # resolution 2**-32 = 2.3e-10; sums up to 2**30 = 1e9, within 32 bits up to 0.5
LARGE = 4096  # numbers of an array from which on it is sent as 32 bits
_SHIFTS = np.arange(0, 64, 16)
_UNSOUND = -(2**63)  # a sum with a term that cannot be added; no sound sum is as low

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
        is not finite or exceeds 2**30 / max_terms, where the integers could overflow.
    """
    return combine(accumulate(term, count, max_terms), term, axis_name)


def accumulate(term: Callable[[jax.Array], Tree], count: jax.Array, max_terms: int) -> jax.Array:
    """The first half of `exact_sum`, without communication: this device's own sum.

    Returns:
        Fixed-point sums, int64 [1 + n]: the number of those that are unsound, and which are 0; then
        those of arrays below `LARGE` numbers, then the others.
    """

    def add(index, sums):
        with jax.enable_x64(False):
            # The barrier keeps the kernels of the terms as they are without a sum.
            values = lax.optimization_barrier(term(index))
        return jax.tree.map(lambda sum, value: add_fixed(sum, value, max_terms), sums, values)

    shapes = _shapes(term)
    with jax.enable_x64(True):
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.int64), shapes)
        sums, _ = ravel_pytree(_by_size(lax.fori_loop(jnp.int32(0), count, add, zeros)))
        unsound = sums == _UNSOUND
        return jnp.concatenate([jnp.sum(unsound)[None], jnp.where(unsound, 0, sums)])


def term_limit(max_terms: int) -> float:
    """The greatest magnitude of a term, for `max_terms` terms whose sum cannot overflow."""
    return 2.0 ** (62 - FRACTION_BITS) / max_terms


def combine(sums: jax.Array, term: Callable[[jax.Array], Tree], axis_name: str | None) -> Tree:
    """The second half of `exact_sum`: adds up what the devices have accumulated.

    Args:
        sums: this device's own, int64 [1 + n], from `accumulate`.
        term: as for `exact_sum`; only the shapes of its tree count.
        axis_name: as for `exact_sum`.
    """
    shapes = _shapes(term)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    _, restore = ravel_pytree(_by_size(zeros))
    with jax.enable_x64(True):
        if axis_name is not None:
            sums = sum_over_devices(sums, _count_small(shapes), axis_name)
        total = from_fixed(sums)
    # Keeps what follows in its own kernels: they must not depend on whether a psum stood here.
    parts = restore(lax.optimization_barrier(total))
    return jax.tree.map(
        lambda a, b: b if a is None else a, *parts, is_leaf=lambda leaf: leaf is None
    )


def num_small(term: Callable[[jax.Array], Tree]) -> int:
    """Numbers of a term that are sent whole, because their arrays are small."""
    return _count_small(_shapes(term))


def _count_small(shapes: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(_by_size(shapes)[0]))


def _shapes(term: Callable[[jax.Array], Tree]) -> Tree:
    return jax.eval_shape(term, jax.ShapeDtypeStruct((), jnp.int32))


def _by_size(tree: Tree) -> tuple[Tree, Tree]:
    """The arrays below `LARGE` numbers, and the others, in trees with None in place of the rest."""
    small = jax.tree.map(lambda leaf: leaf if leaf.size < LARGE else None, tree)
    large = jax.tree.map(lambda leaf: leaf if leaf.size >= LARGE else None, tree)
    return small, large


def add_fixed(sums: jax.Array, values: jax.Array, max_terms: int) -> jax.Array:
    """Adds float32 values to fixed-point sums, int64 of the same shape.

    A sum stays `_UNSOUND` from the first value on that cannot be added. There is one pass over
    memory and no reduction, so that it takes little more than adding floats. Call it, and the
    functions below, within `jax.enable_x64(True)`.
    """
    fixed = jnp.round(values.astype(jnp.float64) * 2.0**FRACTION_BITS).astype(jnp.int64)
    sound = (jnp.abs(values) <= term_limit(max_terms)) & (sums != _UNSOUND)
    return jnp.where(sound, sums + fixed, _UNSOUND)


def sum_over_devices(sums: jax.Array, small: int, axis_name: str) -> jax.Array:
    """Adds up int64 [1 + n] of all devices, exactly, sending 32 bits of most numbers.

    Args:
        sums: as of `accumulate`.
        small: numbers at their start that are sent whole, besides the count.
        axis_name: the pmapped axis, of less than 2**15 devices.
    """
    total = lax.psum(to_wire(sums, small, lax.axis_size(axis_name)), axis_name)
    return from_wire(total, small, lambda: lax.psum(sums, axis_name))


def to_wire(sums: jax.Array, small: int, devices: int) -> jax.Array:
    """Sums of a device as they are sent, to be added to those of the others.

    Args:
        sums: int64 [1 + n], as of `accumulate`.
        small: numbers at their start that are sent whole, besides the count.
        devices: whose sums will be added, less than 2**15.

    Returns:
        Int32 [4 (2 + small) + n - small]: in quarters, how many of the other numbers might add up
        to more than 32 bits, the count of `sums` and the small ones; then the others' low halves.
    """
    head, tail = sums[: 1 + small], sums[1 + small :]
    wide = jnp.sum(jnp.abs(tail) > (2**31 - 1) // devices)
    head = jnp.concatenate([wide[None], head])
    quarters = (head[:, None] >> _SHIFTS) & 0xFFFF  # of 16 bits, so that no carry is lost
    low = lax.bitcast_convert_type(tail, jnp.int32)[:, 0]
    return jnp.concatenate([quarters.astype(jnp.int32).ravel(), low])


def is_whole(total: Any) -> Any:
    """Whether the sum of what `to_wire` gave tells all, bool []; if not, 64 bits must be added."""
    return (total[:4] == 0).all()


def from_wire(total: jax.Array, small: int, add_whole: Callable[[], jax.Array]) -> jax.Array:
    """The sum of devices' sums, int64 [1 + n].

    Args:
        total: the sum of what `to_wire` gave for each, the same on every device.
        small: as of `to_wire`.
        add_whole: gives the sum in 64 bits, int64 [1 + n]; called where `is_whole` is not.
    """
    quarters, low = jnp.split(total[4:], [4 * (1 + small)])
    head = jnp.sum(quarters.reshape(-1, 4).astype(jnp.int64) << _SHIFTS, axis=1)
    fits = is_whole(total)
    tail = lax.cond(fits, lambda: low.astype(jnp.int64), lambda: add_whole()[len(head) :])
    return jnp.concatenate([head, tail])


def from_fixed(sums: jax.Array) -> jax.Array:
    """Int64 [1 + n], as of `accumulate`, to float32 [n]; all NaN if a sum is unsound."""
    values = (sums[1:].astype(jnp.float64) * 2.0**-FRACTION_BITS).astype(jnp.float32)
    return jnp.where(sums[0] == 0, values, jnp.nan)
