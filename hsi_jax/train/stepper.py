"""The compiled training step: as one program, or in two so that every device can be timed."""

import time

import jax
import numpy as np

from hsi_jax.hetero import Work
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import local_step, train_step, update_step


class Stepper:
    """Compiles ahead: compiling is timed apart, and nothing later can compile the step again.

    Attributes:
        compile_seconds: wall time of tracing and compiling.
    """

    def __init__(self, replicas: Replicas, live: TrainState, work: Work, timed: bool = False):
        """Compiles for a replicated state and work of this size; `timed` adds the two parts."""
        start = time.perf_counter()
        self._replicas = replicas
        work = replicas.place(work)
        given = live, replicas.patches, work
        self._whole = replicas.pmap(train_step, donate=(0,)).lower(*given).compile()
        if timed:
            self._local = replicas.pmap(local_step).lower(*given).compile()
            halves = self._local(*given)
            seconds = replicas.place(np.zeros(len(replicas.profile), np.float32))
            update = replicas.pmap(update_step, donate=(0,))
            self._update = update.lower(*given, halves, seconds).compile()
        self.compile_seconds = time.perf_counter() - start

    def step(self, live: TrainState, work: Work) -> tuple[TrainState, float]:
        """Takes one step; returns when its loss is known. The given state is consumed."""
        live, loss = self._whole(live, self._replicas.patches, self._replicas.place(work))
        return live, float(fetch(loss))

    def timed_step(self, live: TrainState, work: Work) -> tuple[TrainState, float, np.ndarray]:
        """Takes the same step in two programs, with the same bits.

        Returns:
            The state, the loss, and the time that each device took for its own microbatches, s,
            float64 [devices], the same in every process.
        """
        work = self._replicas.place(work)
        start = time.perf_counter()
        halves = jax.block_until_ready(self._local(live, self._replicas.patches, work))
        own = np.full(len(self._replicas.profile), time.perf_counter() - start, np.float32)
        live, loss, seconds = self._update(
            live, self._replicas.patches, work, halves, self._replicas.place(own)
        )
        times = fetch(seconds)[: len(self._replicas.profile)]
        return live, float(fetch(loss)), times.astype(np.float64)
