"""The training step of processes of which any may be lost in its middle (`hsi_jax.cluster.mpi`).

Every process sums on its own devices, and the hosts add these fixed-point sums, as in
`hsi_jax.train.host_stepper`. If processes are lost before theirs are added, the others compute what
is missing and add once more. Every process then updates its own state from the total: each has the
optimiser's state, whoever is lost. Where processes are not alike, so that an update may be rounded
otherwise, all take over the parameters of the first one that is left. The optimiser's state is
their own then; after the first process is lost, it may differ in its last bits.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from hsi_jax.cluster.exchange import add, are_alike, can_survive, is_first
from hsi_jax.cluster.processes import barrier
from hsi_jax.hetero.exact import is_whole, mark_not_whole
from hsi_jax.train.host_stepper import (
    HostStepper,
    add_devices,
    add_whole_devices,
    split_whole,
    total_step,
)
from hsi_jax.train.replicas import Ready, Replicas, fetch
from hsi_jax.train.salvage import Pace, Salvage
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import local_step
from hsi_jax.train.step_clock import COMPUTING, SUM, UPDATE, WAITING, StepClock
from hsi_jax.train.stepper import AnyStepper, Stepper, ready_seconds


def own_total_step(
    state: TrainState, total: jax.Array, halves: Any
) -> tuple[TrainState, jax.Array]:
    """`total_step` where nothing is taken over: the next state, and the bits of the loss."""
    new, bits = total_step(state, total, halves)
    return new, bits[:1]


def take_over_step(state: TrainState, bits: jax.Array) -> TrainState:
    """A state with the parameters and statistics that `total_step` gave in another process."""
    _, restore = ravel_pytree((jnp.float32(0), state.params, state.batch_stats))
    _, params, stats = restore(lax.bitcast_convert_type(bits, jnp.float32))
    return state.replace(params=params, batch_stats=stats)


class SurvivingStepper:
    """Takes steps that are completed by whoever is left, with the bits of `HostStepper`.

    Nothing is compiled after a loss: shares are values of arrays.
    """

    def __init__(self, replicas: Replicas, live: TrainState, ready: Ready):
        """Compiles ahead, for a replicated state and input of this size."""
        start = time.perf_counter()
        self._replicas = replicas
        self.moved: int | np.ndarray = np.zeros(replicas.count, int)
        self.clocks: list[StepClock] = []
        given = live, *ready
        local = functools.partial(local_step, devices=replicas.count)
        self._local = replicas.parallel(local).lower(*given).compile()
        self._pace = Pace()
        wire, halves = self._run_own(live, ready)
        self._no_halves = halves  # any will do where they do not count
        step = own_total_step if are_alike() else total_step
        update: Any = replicas.parallel(step, donate=(0,)).lower(live, wire, halves)
        self._update = update.compile()
        if not are_alike():
            bits = jax.eval_shape(replicas.parallel(step), live, wire, halves)[1]
            nothing = replicas.replicate(np.zeros(bits.shape[1:], np.int32))
            adopt: Any = replicas.parallel(take_over_step, donate=(0,)).lower(live, nothing)
            self._adopt = adopt.compile()
        barrier()  # or the first step would wait for those that compile for longer
        self.compile_seconds = time.perf_counter() - start

    def step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float]:
        """See `AnyStepper`."""
        return self._finish(live, Salvage(self._replicas, ready, self._compute(live)), StepClock())

    def timed_step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float, np.ndarray]:
        """See `AnyStepper`; it runs the same programs as `step`."""
        clock = StepClock()
        seconds = np.zeros(self._replicas.count)

        def timed(part: Ready) -> Any:
            if part is not ready:  # of others, who were lost
                return self._run_own(live, part)
            own = self._local(live, *part)
            seconds[:] = ready_seconds(self._replicas, own[0], clock.start)
            clock.ends(COMPUTING)
            barrier()  # who is lost here is made good by `Salvage`, which looks after this call
            clock.ends(WAITING)
            return own

        salvage = Salvage(self._replicas, ready, timed)
        live, loss = jax.block_until_ready(self._finish(live, salvage, clock))
        clock.ends(UPDATE)
        self.clocks.append(clock)
        return live, loss, add(seconds)

    def _compute(self, live: TrainState) -> Any:
        return lambda ready: self._run_own(live, ready)

    def _run_own(self, live: TrainState, ready: Ready) -> Any:
        """Computes this process's part, under guard: a device may hang."""
        return self._pace.wait_for(
            ready, lambda: jax.block_until_ready(self._local(live, *ready)), self._replicas.own
        )

    def _finish(
        self, live: TrainState, salvage: Salvage, clock: StepClock
    ) -> tuple[TrainState, float]:
        def wire() -> np.ndarray:
            own = functools.reduce(np.add, (add_devices(wire) for wire, _ in salvage.parts))
            # More sums than 32 bits are sure to hold; 64 are sent.
            return mark_not_whole(own) if len(salvage.parts) > 1 else own

        def whole() -> np.ndarray:
            return functools.reduce(np.add, (add_whole_devices(h) for _, h in salvage.parts))

        total = add(wire(), salvage.after_loss(wire))
        replicate, halves = self._replicas.replicate, self._no_halves
        if not is_whole(total):  # every process takes the same way
            sums = add(whole(), salvage.after_loss(whole))
            halves = replicate(split_whole(sums, self._no_halves))
        clock.ends(SUM)
        self.moved += salvage.moved
        live, bits = self._update(live, replicate(total), halves)
        known = fetch(bits)
        if not are_alike():
            live, known = self._take_over(live, known)
        return live, float(known[:1].view(np.float32)[0])

    def _take_over(self, live: TrainState, own: np.ndarray) -> tuple[TrainState, np.ndarray]:
        """The state, and bits of `total_step`, with the parameters of the first process."""

        def of_first() -> np.ndarray:
            return own if is_first() else np.zeros_like(own)

        known = add(of_first(), of_first)
        if is_first():
            return live, known
        return self._adopt(live, self._replicas.replicate(known)), known


def make_stepper(replicas: Replicas, live: TrainState, ready: Ready, *, timed: bool) -> AnyStepper:
    """The compiled step, by how the processes add their sums, and whether they survive losses.

    Args:
        replicas: the devices.
        live: a replicated state.
        ready: input of the size that all steps have.
        timed: whether there will be timed steps.
    """
    if can_survive():
        return SurvivingStepper(replicas, live, ready)
    if replicas.by_host:
        return HostStepper(replicas, live, ready)  # it can time every step
    return Stepper(replicas, live, ready, timed)
