"""64 bits that tell whether arrays are equal, computed where the arrays are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_LANES = (0, 0x5BD1E995)  # two hashes of 32 bits, so that chance makes none equal


def no_digest() -> np.ndarray:
    """What stands for a digest before there is one."""
    return np.zeros(len(_LANES), np.uint32)


def digest_text(found: np.ndarray) -> str:
    """A digest as 16 hexadecimal digits."""
    return "".join(f"{int(lane):08x}" for lane in found)


def digest(tree: Any) -> jax.Array:
    """The digest of the leaves of a tree, uint32 [2].

    Each 32-bit word is mixed with its place by a bijection (the finaliser of MurmurHash3, Austin
    Appleby, public domain), and the results are added modulo 2**32. So the digest does not depend
    on the order of the sum, any one word that differs changes it, and several that differ leave
    it equal by a chance of 2**-64.
    """
    words = [_words(leaf) for leaf in jax.tree.leaves(tree)]
    vector = jnp.concatenate(words) if words else jnp.zeros(0, jnp.uint32)
    places = jnp.arange(vector.size, dtype=jnp.uint32)
    lanes = [jnp.sum(_mix(vector ^ _mix(places ^ lane)), dtype=jnp.uint32) for lane in _LANES]
    return jnp.stack(lanes)


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
