"""Whether all devices of all processes still hold the same state, bit for bit."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hsi_jax.cluster.exchange import devices_of_processes, gather, lost_processes
from hsi_jax.errors import DriftError
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.state import TrainState

_LANES = (0, 0x5BD1E995)  # two hashes of 32 bits, so that chance makes none equal


def digest_step(state: TrainState) -> jax.Array:
    """Digests of a state, uint32 [2, 2]: of the optimiser's own state, and of all else.

    Each 32-bit word is mixed with its place by a bijection (the finaliser of MurmurHash3, Austin
    Appleby, public domain), and the results are added modulo 2**32. So the digest does not depend
    on the order of the sum, any one word that differs changes it, and several that differ leave
    it equal by a chance of 2**-64.
    """
    rest = (state.step, state.seed, state.params, state.batch_stats)
    return jnp.stack([_digest(state.opt_state), _digest(rest)])


def _digest(tree: Any) -> jax.Array:
    """The digest of the leaves of a tree, uint32 [2]."""
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


class DriftCheck:
    """Compares the digests of all devices, now and then.

    Where the hosts add the sums, process 0 alone keeps the optimiser's state. It is then compared
    among the devices of each process, so a process with a single accelerator has nothing to
    compare it with.

    Attributes:
        step: steps that had been taken when they agreed last.
    """

    def __init__(self, replicas: Replicas, live: TrainState, step: int):
        """Compiles for a replicated state, which has taken this many steps."""
        self.step = step
        digest: Any = replicas.parallel(digest_step)
        self._digest = digest.lower(live).compile()
        self._by_host = replicas.by_host

    def check(self, live: TrainState, step: int) -> None:
        """Compares the digests after this many steps; every process must call it.

        Raises:
            DriftError: in every process, if a device holds another state than most do.
        """
        if step == self.step:
            return
        counts = devices_of_processes()
        shards = [np.asarray(shard.data)[0] for shard in self._digest(live).addressable_shards]
        own = np.zeros((max(counts), *shards[0].shape), np.uint32)
        for number, digest in enumerate(shards[: len(own)]):
            own[number] = digest
            if self._by_host:  # an idle device beside a single one has a copy as well
                own[number, 0] = any((other[0] != digest[0]).any() for other in shards)
        rows = gather(own)
        lost = lost_processes()
        digests = {
            (process, number): row[number].tobytes()
            for process, (count, row) in enumerate(zip(counts, rows, strict=True))
            for number in range(count)
            if process not in lost
        }
        sound = [d for (p, n), d in digests.items() if not (self._by_host and rows[p, n, 0].any())]
        usual = Counter(sound).most_common(1)[0][0] if sound else None
        others = [place for place, digest in digests.items() if digest != usual]
        if others:
            raise DriftError(_describe(others, counts, since=self.step, step=step))
        self.step = step


def _describe(
    others: list[tuple[int, int]], counts: tuple[int, ...], *, since: int, step: int
) -> str:
    names = [
        f"process {process}" + (f", device {number}" if counts[process] > 1 else "")
        for process, number in others
    ]
    return (
        f"the devices no longer hold the same state: after step {step} that of "
        f"{'; '.join(names)} differs from the others' (after step {since} all were equal). The "
        f"likely cause is a device that computes wrongly, or processors of different kinds, which "
        f"`reduce`=host keeps equal; checkpoints are saved only where all agree"
    )
