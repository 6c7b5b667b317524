"""The training step whose sums are added by the hosts, so that platforms may be unlike.

Every process sums on its own devices. The fixed-point sums of the processes are added on their
hosts: integers, whose sum is the same wherever it is computed, and of which most are sent as 32
bits (`hsi_jax.hetero.exact`). What follows is rounded, and by unlike platforms perhaps otherwise.
So process 0 alone updates the parameters, and the others take them over, bit for bit.
"""

import functools
import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from hsi_jax.cluster.exchange import add, rank
from hsi_jax.cluster.processes import barrier
from hsi_jax.hetero.exact import is_whole
from hsi_jax.train.replicas import Ready, Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import local_step, update_step
from hsi_jax.train.step_clock import COMPUTING, SUM, UPDATE, WAITING, StepClock
from hsi_jax.train.stepper import ready_seconds


def total_step(state: TrainState, total: jax.Array, halves: Any) -> tuple[TrainState, jax.Array]:
    """The rest of `train_step` from the sums over all processes.

    Args:
        state: as for `train_step`.
        total: the sum of the first of what `local_step` gave, int32 [w].
        halves: that of the second, a tree of int32 [..., 2]; it counts where `is_whole` is not.

    Returns:
        The next state; and the bits of the loss and of what the others take over of the state,
        int32 [n].
    """
    new, loss = update_step(state, total, halves)
    # What is sent is what is kept: not computed twice, by kernels that could round otherwise.
    new = lax.optimization_barrier(new)
    vector, _ = ravel_pytree((loss, new.params, new.batch_stats))
    return new, lax.bitcast_convert_type(vector, jnp.int32)


def adopt_step(state: TrainState, bits: jax.Array) -> TrainState:
    """The next state by the bits that `total_step` gave elsewhere.

    The optimiser's own state stays as it was: it is kept in process 0, which alone updates.
    """
    _, restore = ravel_pytree((jnp.float32(0), state.params, state.batch_stats))
    _, params, stats = restore(lax.bitcast_convert_type(bits, jnp.float32))
    return state.replace(step=state.step + 1, params=params, batch_stats=stats)


class HostStepper:
    """Programs over this process's own devices, and the processes' sums added by their hosts.

    It gives the bits of `Stepper` on like devices. Process 0 has the whole next state, the others
    all of it but the optimiser's.
    """

    def __init__(self, replicas: Replicas, live: TrainState, ready: Ready):
        """Compiles ahead, for a replicated state and input of this size."""
        start = time.perf_counter()
        self._replicas = replicas
        self.moved: int | np.ndarray = 0
        self.clocks: list[StepClock] = []
        given = live, *ready
        local = functools.partial(local_step, devices=replicas.count)
        self._local = replicas.parallel(local).lower(*given).compile()
        wire, halves = self._local(*given)
        if rank() == 0:
            update = replicas.parallel(total_step, donate=(0,))
            self._update: Any = update.lower(live, wire, halves).compile()
            self._no_halves = halves  # any will do where they do not count
        self._nothing = np.zeros(_num_bits(live), np.int32)
        adopt = replicas.parallel(adopt_step, donate=(0,))
        self._adopt: Any = adopt.lower(live, replicas.replicate(self._nothing)).compile()
        _add(wire)  # compiles the exchange
        _add_whole(halves)
        add(self._nothing)
        barrier()  # or the first step would wait for those that compile for longer
        self.compile_seconds = time.perf_counter() - start

    def step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float]:
        """See `AnyStepper`."""
        wire, halves = self._local(live, *ready)
        return self._finish(live, wire, halves, StepClock())

    def timed_step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float, np.ndarray]:
        """See `AnyStepper`; it runs the same programs as `step`."""
        clock = StepClock()
        wire, halves = self._local(live, *ready)
        seconds = ready_seconds(self._replicas, wire, clock.start)
        clock.ends(COMPUTING)
        barrier()
        clock.ends(WAITING)
        live, loss = jax.block_until_ready(self._finish(live, wire, halves, clock))
        clock.ends(UPDATE)
        self.clocks.append(clock)
        return live, loss, add(seconds)

    def _finish(
        self, live: TrainState, wire: jax.Array, halves: Any, clock: StepClock
    ) -> tuple[TrainState, float]:
        total = _add(wire)
        whole = None if is_whole(total) else _add_whole(halves)  # every process takes the same way
        clock.ends(SUM)
        if rank() == 0:
            replicate = self._replicas.replicate
            halves = self._no_halves if whole is None else replicate(whole)
            live, bits = self._update(live, replicate(total), halves)
            sent = fetch(bits)
            clock.ends(UPDATE)
            known = add(sent)
            clock.ends(SUM)
        else:
            known = add(self._nothing)
            clock.ends(WAITING)  # for process 0, which updates
            live = self._adopt(live, self._replicas.replicate(known))
        return live, float(known[:1].view(np.float32)[0])


def _add(wire: jax.Array) -> np.ndarray:
    """The sum over all devices of all processes, int32 [w]."""
    return add(add_devices(wire))


def _add_whole(halves: Any) -> Any:
    """The sum over all devices of all processes, of 64 bits each: a tree of int32 [..., 2]."""
    return split_whole(add(add_whole_devices(halves)), halves)


def add_devices(wire: jax.Array) -> np.ndarray:
    """The sum over this process's own devices of what `to_wire` gave, int32 [w]."""
    return functools.reduce(np.add, _rows(wire))


def add_whole_devices(halves: Any) -> np.ndarray:
    """The sum over this process's own devices, int64 [n], array by array.

    Args:
        halves: of `local_step`, a tree of int32 [devices, ..., 2].
    """
    devices = zip(*map(_rows, jax.tree.leaves(halves)), strict=True)  # all arrays of one, and so on
    own = [np.concatenate([row.ravel() for row in rows]).view(np.int64) for rows in devices]
    return functools.reduce(np.add, own)


def split_whole(total: np.ndarray, halves: Any) -> Any:
    """A sum as of `add_whole_devices`, in a tree like one device's halves, int32 [..., 2]."""
    leaves, tree = jax.tree.flatten(halves)
    shapes = [leaf.shape[1:] for leaf in leaves]
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    return tree.unflatten(map(np.reshape, np.split(total.view(np.int32), ends), shapes))


def _rows(array: jax.Array) -> list[np.ndarray]:
    """What each of this process's own devices has of a mapped array."""
    return [np.asarray(shard.data)[0] for shard in array.addressable_shards]


def _num_bits(live: TrainState) -> int:
    """Values of a loss and of a replicated state's parameters and running statistics."""
    leaves = jax.tree.leaves((live.params, live.batch_stats))
    return 1 + sum(leaf.size // leaf.shape[0] for leaf in leaves)
