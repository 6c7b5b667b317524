"""The compiled training step: as one program, or in parts so that every device can be timed."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
import numpy as np

from hsi_jax.cluster.exchange import gather, lost_processes
from hsi_jax.cluster.processes import barrier
from hsi_jax.train.replicas import Ready, Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import local_step, sum_step, train_step, update_step
from hsi_jax.train.step_clock import COMPUTING, SUM, UPDATE, WAITING, StepClock


class AnyStepper(Protocol):
    """Takes steps on compiled programs; `Stepper` and `HostStepper` give the same bits.

    Attributes:
        compile_seconds: wall time of tracing and compiling, until all processes have done it.
        clocks: of each timed step, where this process's time went.
        moved: microbatches that each device has done beyond those that it was dealt, because others
            were lost, or fewer because it was lost itself; 0 or int [devices].
    """

    compile_seconds: float
    clocks: list[StepClock]
    moved: int | np.ndarray

    def step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float]:
        """Takes one step; returns when its loss is known. The given state is consumed."""
        ...

    def timed_step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float, np.ndarray]:
        """Takes the same step, with the same bits, and times the devices.

        Returns:
            The state, the loss, and the time that each device took for its own microbatches, s,
            float64 [devices], the same in every process.
        """
        ...


class Stepper:
    """One program over the devices of all processes, which adds their sums as well.

    It compiles ahead: compiling is timed apart, and nothing later can compile the step again.
    """

    def __init__(self, replicas: Replicas, live: TrainState, ready: Ready, timed: bool = False):
        """Compiles for a replicated state and input of this size; `timed` adds the parts."""
        start = time.perf_counter()
        self._replicas = replicas
        self.moved: int | np.ndarray = 0
        self.clocks: list[StepClock] = []
        given = live, *ready
        self._whole = replicas.parallel(train_step, donate=(0,)).lower(*given).compile()
        if timed:
            self._local = replicas.parallel(local_step).lower(*given).compile()
            own = self._local(*given)
            seconds = replicas.place(np.zeros(replicas.count, np.float32))
            self._sum = replicas.parallel(sum_step).lower(*own, seconds).compile()
            update = replicas.parallel(update_step, donate=(0,))
            self._update = update.lower(live, *own).compile()
        barrier()  # or the first step would wait for those that compile for longer
        self.compile_seconds = time.perf_counter() - start

    def step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float]:
        """See `AnyStepper`."""
        live, loss = self._whole(live, *ready)
        return live, float(fetch(loss))

    def timed_step(self, live: TrainState, ready: Ready) -> tuple[TrainState, float, np.ndarray]:
        """See `AnyStepper`; it runs three programs."""
        clock = StepClock()
        wire, halves = self._local(live, *ready)
        own = ready_seconds(self._replicas, wire, clock.start)
        clock.ends(COMPUTING)
        barrier()
        clock.ends(WAITING)
        placed = self._replicas.place(own.astype(np.float32))
        total, halves, seconds = self._sum(wire, halves, placed)
        times = fetch(seconds)[: self._replicas.count]
        clock.ends(SUM)
        live, loss = jax.block_until_ready(self._update(live, total, halves))
        clock.ends(UPDATE)
        self.clocks.append(clock)
        return live, float(fetch(loss)), times.astype(np.float64)


def ready_seconds(replicas: Replicas, outputs: Any, start: float) -> np.ndarray:
    """Waits for what this process's devices are computing.

    Args:
        replicas: the devices.
        outputs: an array of a program over them.
        start: when they began, by `time.perf_counter`.

    Returns:
        Seconds until each of them was ready, float64 [devices]; 0 for those of other processes.
    """
    seconds = np.zeros(replicas.count)

    def wait(shard):
        shard.data.block_until_ready()
        return time.perf_counter() - start

    shards = outputs.addressable_shards[: len(replicas.own)]
    if len(shards) == 1:
        seconds[replicas.own] = wait(shards[0])
    elif shards:
        with ThreadPoolExecutor(len(shards)) as waiting:
            seconds[replicas.own] = list(waiting.map(wait, shards))
    jax.block_until_ready(outputs)
    return seconds


def gather_stamps(stamps: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Brings the stamps of all processes together; every process must call it.

    On one machine the processes read the same clock. On several machines it is as good as their
    clocks agree. The stamps of a process that was lost are lost with it: its steps count as taking
    no time.

    Args:
        stamps: `StepClock.stamp` of this process, as many in every process.

    Returns:
        Seconds since the earliest stamp, float64 [timed steps, processes, 3].
    """
    own = np.array(stamps, np.float64).reshape(-1, 3)
    if not len(own):
        return np.zeros((0, 1, 3))
    # As bytes, because JAX would round them to float32.
    rows = gather(np.frombuffer(own.tobytes(), np.uint8))
    timeline = np.stack([np.frombuffer(row.tobytes()).reshape(-1, 3) for row in rows], axis=1)
    for process in lost_processes():
        timeline[:, process] = own[:, :1]
    return timeline - timeline.min()
