"""The compiled training step: as one program, or in two so that every device can be timed."""

import time
from collections.abc import Sequence

import jax
import numpy as np

from hsi_jax.cluster.processes import barrier, gather
from hsi_jax.train.replicas import Ready, Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import local_step, train_step, update_step


class Stepper:
    """Compiles ahead: compiling is timed apart, and nothing later can compile the step again.

    Attributes:
        compile_seconds: wall time of tracing and compiling, until all processes have done it.
        stamps: of each timed step, when this process began it, had done its own work and ended it,
            s, by the clock that processes have in common (`time.time`).
    """

    def __init__(self, replicas: Replicas, live: TrainState, ready: Ready, timed: bool = False):
        """Compiles for a replicated state and input of this size; `timed` adds the two parts."""
        start = time.perf_counter()
        self._replicas = replicas
        self.stamps: list[tuple[float, float, float]] = []
        given = live, *ready
        self._whole = replicas.parallel(train_step, donate=(0,)).lower(*given).compile()
        if timed:
            self._local = replicas.parallel(local_step).lower(*given).compile()
            halves = self._local(*given)
            seconds = replicas.place(np.zeros(replicas.count, np.float32))
            update = replicas.parallel(update_step, donate=(0,))
            self._update = update.lower(*given, halves, seconds).compile()
        barrier()  # or the first step would wait for those that compile for longer
        self.compile_seconds = time.perf_counter() - start

    def step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float]:
        """Takes one step; returns when its loss is known. The given state is consumed."""
        live, loss = self._whole(live, *ready)
        return live, float(fetch(loss))

    def timed_step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float, np.ndarray]:
        """Takes the same step in two programs, with the same bits.

        Returns:
            The state, the loss, and the time that each device took for its own microbatches, s,
            float64 [devices], the same in every process.
        """
        began, start = time.time(), time.perf_counter()
        halves = jax.block_until_ready(self._local(live, *ready))
        worked = time.perf_counter() - start
        own = np.full(self._replicas.count, worked, np.float32)
        live, loss, seconds = self._update(live, *ready, halves, self._replicas.place(own))
        times = fetch(seconds)[: self._replicas.count]
        loss = float(fetch(loss))
        self.stamps.append((began, began + worked, began + time.perf_counter() - start))
        return live, loss, times.astype(np.float64)


def gather_stamps(stamps: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Brings the stamps of all processes together; every process must call it.

    On one machine the processes read the same clock. On several machines it is as good as their
    clocks agree.

    Args:
        stamps: this process's `Stepper.stamps`, as many in every process.

    Returns:
        Seconds since the earliest stamp, float64 [timed steps, processes, 3].
    """
    own = np.array(stamps, np.float64).reshape(-1, 3)
    if not len(own):
        return np.zeros((0, 1, 3))
    # As bytes, because JAX would round them to float32.
    rows = gather(np.frombuffer(own.tobytes(), np.uint8))
    timeline = np.stack([np.frombuffer(row.tobytes()).reshape(-1, 3) for row in rows], axis=1)
    return timeline - timeline.min()
