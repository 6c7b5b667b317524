"""The input of the steps, in their order; what is streamed is read while earlier steps run."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from hsi_jax.hetero import Work
from hsi_jax.train.replicas import Ready, Replicas
from hsi_jax.train.samples import Stream


class Feed:
    """Gives each step its samples and its work, on the devices. Use it in a `with`.

    Resident samples are there already. Streamed ones are read for some steps to come (see
    `Stream.steps_ahead`), by the shares of the moment; a step whose shares have changed since is
    read again.

    Attributes:
        wait_seconds: of each step so far, how long it waited for its input.
    """

    def __init__(self, replicas: Replicas, work_of: Callable[[int], Work], num_steps: int):
        """Feeds steps 0 to num_steps - 1; `work_of` gives a step's work by the present plan."""
        self.wait_seconds: list[float] = []
        self._replicas = replicas
        self._work_of = work_of
        self._num_steps = num_steps
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._ahead: dict[int, tuple[Work, Future[Ready]]] = {}

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *exception) -> None:
        self._reader.shutdown(cancel_futures=True)

    def take(self, step: int) -> Ready:
        """The samples and the work of a step."""
        start = time.perf_counter()
        stream = self._replicas.samples
        streamed = isinstance(stream, Stream)
        ready = self._read_ahead(step, stream.steps_ahead) if streamed else self._ready(step)
        self.wait_seconds.append(time.perf_counter() - start)
        return ready

    def _ready(self, step: int) -> Ready:
        return self._replicas.ready(self._work_of(step))

    def _read_ahead(self, step: int, ahead: int) -> Ready:
        for coming in range(step, min(step + 1 + ahead, self._num_steps)):
            work = self._work_of(coming)
            if coming not in self._ahead or _is_other(work, self._ahead[coming][0]):
                self._ahead[coming] = work, self._reader.submit(self._replicas.ready, work)
        return self._ahead.pop(step)[1].result()


def _is_other(work: Work, before: Work) -> bool:
    return not np.array_equal(work.count, before.count)
