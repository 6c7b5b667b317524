"""Whether all devices of all processes still hold the same parameters."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hsi_jax.cluster.exchange import devices_of_processes, gather
from hsi_jax.errors import DriftError
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.state import TrainState


def digest_step(state: TrainState) -> jax.Array:
    """A digest of the parameters and the running statistics, uint32 [].

    It is a sum modulo 2**32 of their bits, each times an odd number of its place. So it does not
    depend on the order of the sum, and any one value that differs changes it.
    """
    leaves = jax.tree.leaves((state.params, state.batch_stats))
    bits = [lax.bitcast_convert_type(leaf.ravel(), jnp.uint32) for leaf in leaves]
    vector = jnp.concatenate(bits)
    odd = 2 * jnp.arange(vector.size, dtype=jnp.uint32) + 1
    return jnp.sum(vector * odd, dtype=jnp.uint32)


class Agreement:
    """Compares the digests of all devices, now and then.

    Attributes:
        step: steps that had been taken when they agreed last.
    """

    def __init__(self, replicas: Replicas, live: TrainState, step: int):
        """Compiles for a replicated state, which has taken so many steps."""
        self.step = step
        digest: Any = replicas.parallel(digest_step)
        self._digest = digest.lower(live).compile()
        self._replicas = replicas

    def check(self, live: TrainState, step: int) -> None:
        """Compares the digests after so many steps; every process must call it.

        Raises:
            DriftError: in every process, if a device holds other parameters than most do.
        """
        if step == self.step:
            return
        counts = devices_of_processes()
        own = np.zeros(max(counts), np.uint32)
        for number, shard in enumerate(self._digest(live).addressable_shards[: len(own)]):
            own[number] = np.asarray(shard.data)[0]
        rows = gather(own)
        digests = {
            (process, number): int(rows[process, number])
            for process, count in enumerate(counts)
            for number in range(count)
        }
        usual = Counter(digests.values()).most_common(1)[0][0]
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
        f"the devices no longer hold the same parameters: after step {step} those of "
        f"{'; '.join(names)} differ from the others' (after step {since} all were equal). A "
        f"device that computes wrongly is the likely cause, or processors of unlike kinds, which "
        f"`reduce`=host keeps equal; checkpoints are saved only where all agree"
    )
