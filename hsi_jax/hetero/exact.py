"""Sums that do not depend on their order, so that any split of the work gives the same bits.

Float32 sums depend on the order of their terms, and training amplifies the difference. Here every
term is scaled by a power of two and rounded to int64; integers add associatively, within a device's
loop and across devices; only the total becomes float32 again.

Between devices most numbers travel as 32 bits. The low halves of 64-bit integers add up to the low
half of their sum, and a small sum is its low half. Whether numbers might add up to more is told
with the sum; if so, all 64 bits are sent after all. So the result is the same.

Each array goes from the loop to what is sent, and from there to floats, in few passes over memory:
what is larger than a cache would else take as long as the sending itself.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

FRACTION_BITS = 32  # resolution 2**-32 = 2.3e-10; sums up to 2**30 = 1e9, within 32 bits up to 0.5
LARGE = 4096  # numbers of an array from which on it is sent as 32 bits
_SHIFTS = np.arange(0, 64, 16)
_FLAGS = 2  # numbers before the sums in what is sent
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
        axis_name: the pmapped axis, of less than 2**15 devices, or None for one device alone.

    Returns:
        A tree like term's, float32, the same on every device. All NaN if any term had a value that
        is not finite or exceeds 2**30 / max_terms, where the integers could overflow.
    """
    sums = accumulate(term, count, max_terms)
    if axis_name is None:
        return from_wire(to_wire(sums, 1), sums, lambda: sums)
    return sum_over_devices(to_wire(sums, lax.axis_size(axis_name)), sums, axis_name)


def accumulate(term: Callable[[jax.Array], Tree], count: jax.Array, max_terms: int) -> Tree:
    """The first part of `exact_sum`, without communication: this device's own sums.

    Returns:
        A tree like term's of fixed-point sums, int64, `_UNSOUND` where a term could not be added.
    """

    def add(index, sums):
        with jax.enable_x64(False):
            # The barrier keeps the kernels of the terms as they are without a sum.
            values = lax.optimization_barrier(term(index))
        return jax.tree.map(lambda sum, value: add_fixed(sum, value, max_terms), sums, values)

    shapes = jax.eval_shape(term, jax.ShapeDtypeStruct((), jnp.int32))
    with jax.enable_x64(True):
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.int64), shapes)
        return lax.fori_loop(jnp.int32(0), count, add, zeros)


def term_limit(max_terms: int) -> float:
    """The greatest magnitude of a term, for `max_terms` terms whose sum cannot overflow."""
    return 2.0 ** (62 - FRACTION_BITS) / max_terms


def add_fixed(sums: jax.Array, values: jax.Array, max_terms: int) -> jax.Array:
    """Adds float32 values to fixed-point sums, int64 of the same shape.

    A sum stays `_UNSOUND` from the first value on that cannot be added. There is one pass over
    memory and no reduction, so that it takes little more than adding floats. Call it within
    `jax.enable_x64(True)`.
    """
    fixed = jnp.round(values.astype(jnp.float64) * 2.0**FRACTION_BITS).astype(jnp.int64)
    sound = (jnp.abs(values) <= term_limit(max_terms)) & (sums != _UNSOUND)
    return jnp.where(sound, sums + fixed, _UNSOUND)


def sum_over_devices(wire: jax.Array, sums: Tree, axis_name: str) -> Tree:
    """The last part of `exact_sum`: the sum of all devices' sums, float32.

    Args:
        wire: what `to_wire` gave for the device's own sums.
        sums: these, as of `accumulate`; sent where 32 bits do not do.
        axis_name: the pmapped axis.
    """
    return from_wire(lax.psum(wire, axis_name), sums, lambda: lax.psum(sums, axis_name))


def to_wire(sums: Any, devices: int) -> jax.Array:
    """Sums of a device as they are sent, to be added to those of the others.

    Args:
        sums: as of `accumulate`.
        devices: whose sums will be added, less than 2**15.

    Returns:
        Int32 [w]: whether sums of large arrays might add up to more than 32 bits; whether a sum is
        unsound; in quarters, the sums of arrays below `LARGE` numbers; the low halves of the
        others, array by array.
    """
    with jax.enable_x64(True):
        small, large = _by_size(sums)
        most = (2**31 - 1) // devices
        wide = _any(lambda leaf: (leaf < -most) | (leaf > most), large)
        # An unsound sum of a large array is wide, so that few steps have to look for one.
        unsound = lax.cond(wide, lambda: _any_unsound(sums), lambda: _any_unsound(small))
        flags = jnp.stack([wide, unsound]).astype(jnp.int32)
        # Of 16 bits each, so that no carry is lost.
        quarters = [(leaf.reshape(-1, 1) >> _SHIFTS) & 0xFFFF for leaf in small]
        lows = [lax.bitcast_convert_type(leaf, jnp.int32)[..., 0] for leaf in large]
        return jnp.concatenate([flags, *(p.astype(jnp.int32).ravel() for p in (*quarters, *lows))])


def is_whole(total: Any) -> Any:
    """Whether the sum of what `to_wire` gave tells all, bool []; if not, 64 bits must be added."""
    return total[0] == 0


def mark_not_whole(wire: np.ndarray) -> np.ndarray:
    """What `to_wire` gave, so that 64 bits are added in any case: where there are further sums."""
    marked = wire.copy()
    marked[0] = 1
    return marked


def from_wire(total: jax.Array, sums: Tree, add_whole: Callable[[], Tree]) -> Tree:
    """The sum of devices' sums, float32; all NaN if one of them is unsound.

    Args:
        total: the sum of what `to_wire` gave for each, the same on every device.
        sums: a tree like theirs; only the shapes count.
        add_whole: gives the sum in 64 bits, as of `accumulate`; called where `is_whole` is not.
    """
    with jax.enable_x64(True):
        scale = jnp.where(total[1] == 0, 2.0**-FRACTION_BITS, jnp.nan)

        def to_floats(leaves):
            return [(leaf.astype(jnp.float64) * scale).astype(jnp.float32) for leaf in leaves]

        small, large = _by_size(sums)
        end = _FLAGS + len(_SHIFTS) * sum(leaf.size for leaf in small)
        quarters = total[_FLAGS:end].reshape(-1, len(_SHIFTS)).astype(jnp.int64)
        small = to_floats(_split_like(jnp.sum(quarters << _SHIFTS, axis=1), small))
        large = lax.cond(
            is_whole(total),
            lambda: to_floats(_split_like(total[end:], large)),
            lambda: to_floats(_by_size(add_whole())[1]),
        )
    small, large = iter(small), iter(large)
    floats = jax.tree.map(lambda leaf: next(small if leaf.size < LARGE else large), sums)
    # Keeps what follows in its own kernels: they must not depend on whether a psum stood here.
    return lax.optimization_barrier(floats)


def _by_size(sums: Any) -> tuple[list[Any], list[Any]]:
    """The arrays below `LARGE` numbers, and the others, in the order of the tree."""
    leaves = jax.tree.leaves(sums)
    small = [leaf for leaf in leaves if leaf.size < LARGE]
    return small, [leaf for leaf in leaves if leaf.size >= LARGE]


def _any_unsound(sums: Any) -> jax.Array:
    """Whether one of these sums, as of `accumulate`, is unsound, bool []."""
    return _any(lambda leaf: leaf == _UNSOUND, jax.tree.leaves(sums))


def _any(condition: Callable[[jax.Array], jax.Array], leaves: list[jax.Array]) -> jax.Array:
    """Whether a number of these arrays meets a condition, bool []."""
    return functools.reduce(jnp.logical_or, map(jnp.any, map(condition, leaves)), jnp.bool(False))


def _split_like(vector: jax.Array, leaves: list[Any]) -> list[jax.Array]:
    """The parts of a vector in the shapes of these arrays, in their order."""
    ends = np.cumsum([leaf.size for leaf in leaves], dtype=int)
    parts = jnp.split(vector, ends[:-1]) if leaves else []
    return [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
