"""64 bits that tell whether arrays are equal, computed where the arrays are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

VERSION = 2  # of the function below: digests of other versions cannot be compared

_GOLDEN = 0x9E3779B9  # times a place, it tells places apart in all bits


def no_digest() -> np.ndarray:
    """What stands for a digest before there is one."""
    return np.zeros(2, np.uint32)


def digest_text(found: np.ndarray) -> str:
    """A digest as 16 hexadecimal digits."""
    return "".join(f"{int(lane):08x}" for lane in found)


def digest(tree: Any) -> jax.Array:
    """The digest of the leaves of a tree, uint32 [2].

    Each 32-bit word is mixed with its place by a bijection (the finaliser of MurmurHash3, Austin
    Appleby, public domain). The results are added modulo 2**32, and once more with an odd factor
    that depends on the place. So the digest does not depend on the order of the sum, any one word
    that differs changes both sums, and several that differ leave both equal by a chance of 2**-64.
    All is done in one pass over each array.
    """
    total, place = jnp.zeros(2, jnp.uint32), 0
    for leaf in jax.tree.leaves(tree):
        words = _words(leaf)
        places = jnp.arange(words.size, dtype=jnp.uint32) + jnp.uint32(place % 2**32)
        mixed = _mix(words ^ (places * jnp.uint32(_GOLDEN)))
        weighed = (mixed ^ (mixed >> 15)) * (2 * places + 1)
        zeros = jnp.uint32(0), jnp.uint32(0)
        total += jnp.stack(lax.reduce((mixed, weighed), zeros, _add_both, (0,)))
        place += words.size
    return total


def _add_both(one: Any, other: Any) -> tuple[jax.Array, jax.Array]:
    return one[0] + other[0], one[1] + other[1]


def _words(leaf: jax.Array) -> jax.Array:
    """The bits of an array as uint32 [n], one word for each number of at most 32 bits."""
    flat = jnp.ravel(leaf)
    if flat.dtype == jnp.bool_:
        return flat.astype(jnp.uint32)
    unsigned = jnp.dtype(f"uint{8 * flat.dtype.itemsize}")
    return lax.bitcast_convert_type(flat, unsigned).astype(jnp.uint32)


def _mix(words: jax.Array) -> jax.Array:
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)
