"""Whether all devices of all processes still hold the same state, bit for bit."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hsi_jax.cluster.exchange import devices_of_processes, gather, lost_processes
from hsi_jax.errors import DriftError
from hsi_jax.train.digest import digest
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.state import TrainState


def digest_step(state: TrainState) -> jax.Array:
    """Digests of a state, uint32 [2, 2]: of the optimiser's own state, and of all else."""
    rest = (state.step, state.seed, state.params, state.batch_stats)
    return jnp.stack([digest(state.opt_state), digest(rest)])


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
        for number, found in enumerate(shards[: len(own)]):
            own[number] = found
            if self._by_host:  # an idle device beside a single one has a copy as well
                own[number, 0] = any((other[0] != found[0]).any() for other in shards)
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
        others = [place for place, found in digests.items() if found != usual]
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
