"""What lost processes were to compute of a batch, computed by those that are left.

What a microbatch holds and adds depends on its number in the batch and not on the device that has
it (`hsi_jax.train.step`). So the others keep what they have computed themselves, and compute only
what is missing, by the same compiled programs; the result has the same bits.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from hsi_jax.cluster.exchange import add, expecting, lost_devices
from hsi_jax.hetero.redeal import redeal, without_lost
from hsi_jax.train.replicas import Parallel, Ready, Replicas, fetch


class Pace:
    """How long a microbatch has ever taken here; a device that takes far longer hangs."""

    def __init__(self):
        self._seconds = 0.0

    def wait_for(self, ready: Ready, compute: Callable[[], Any], own: range) -> Any:
        """What a compiled program computes, under guard; see `hsi_jax.cluster.guard`.

        Args:
            ready: input of the batch.
            compute: returns when all is computed.
            own: the numbers of this process's devices.
        """
        count = int(ready.dealt.count[own.start : own.stop].max(initial=0))
        began = time.perf_counter()
        with expecting(count * self._seconds) if self._seconds else nullcontext():
            found = compute()
        if count:
            self._seconds = max(self._seconds, (time.perf_counter() - began) / count)
        return found


_paces: dict[Any, Pace] = {}  # of programs that gather, by what decides whether they compile


class Salvage:
    """Who has which part of a batch, and what this process has computed of it.

    Attributes:
        parts: what was computed for each work that was given to this process's devices; the first
            is that of the plan.
    """

    def __init__(self, replicas: Replicas, ready: Ready, compute: Callable[[Ready], Any]):
        """Computes this process's own part, and of those that are lost already.

        Args:
            replicas: the devices.
            ready: input of the batch.
            compute: gives what this process's devices compute of an input.
        """
        self._replicas, self._compute = replicas, compute
        self._works = [ready.dealt]
        self._speeds = ready.dealt.count.tolist()
        self.parts = [compute(ready)]
        self._redeal()

    @property
    def moved(self) -> np.ndarray:
        """Microbatches that each device was given beyond those of the plan, int [devices]."""
        given = sum(work.count.astype(int) for work in self._works)
        return given - np.array(self._speeds)

    def after_loss(self, value: Callable[[], Any]) -> Callable[[], Any]:
        """For `add`: computes what lost processes had, and gives a value that takes it in."""

        def on_loss() -> Any:
            self._redeal()
            return value()

        return on_loss

    def _redeal(self) -> None:
        works, lost = [], lost_devices()
        if not lost:
            return
        for work in self._works:  # those that were dealt once more may be lost as well
            again = redeal(work, lost, self._speeds)
            works += [without_lost(work, lost), *again]
            for each in again:
                if each.count[self._replicas.own.start : self._replicas.own.stop].any():
                    self.parts.append(self._compute(self._replicas.ready(each)))
        self._works = works


def gather_outputs(replicas: Replicas, call: Parallel, live: Any, ready: Ready) -> Any:
    """What a step gathers of all microbatches of a batch, from the devices of all processes.

    Args:
        replicas: the devices.
        call: a step of `hsi_jax.train.step` that gathers, and gives 0 for microbatches of others.
        live: a replicated state.
        ready: input of the batch.

    Returns:
        A tree of NumPy arrays, the same in every process.
    """
    if not replicas.by_host:
        return fetch(call(live, *ready))

    def compute(ready: Ready) -> Any:
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves((live, *ready)))
        pace = _paces.get((call, shapes))
        if pace is None:  # it compiles, for who knows how long
            _paces[call, shapes] = Pace()
            return fetch(call(live, *ready))
        return pace.wait_for(ready, lambda: fetch(call(live, *ready)), replicas.own)

    salvage = Salvage(replicas, ready, compute)
    leaves, tree = jax.tree.flatten(salvage.parts[0])

    def total(number: int) -> np.ndarray:
        def own() -> np.ndarray:
            parts = [jax.tree.leaves(part)[number] for part in salvage.parts]
            return np.sum(parts, axis=0, dtype=parts[0].dtype) if len(parts) > 1 else parts[0]

        return add(own(), salvage.after_loss(own))

    return tree.unflatten([total(number) for number in range(len(leaves))])
