"""Samples too large for a device: each step is sent its own, which threads read ahead of it."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from hsi_jax.train.samples import Rows


class Stream:
    """Reads samples for the devices that need them.

    Attributes:
        sample_bytes: size of one sample on a device.
    """

    def __init__(self, read: Callable[[np.ndarray], Any]):
        """Reads one sample to learn its size.

        Args:
            read: maps sample ids, int32 [k], to a tree of NumPy arrays [k, ...]; for a classifier
                (inputs, classes). Several threads call it at once.
        """
        one = read(np.zeros(1, np.int32))
        self.sample_bytes = sum(array.nbytes for array in jax.tree.leaves(one))
        self._none = jax.tree.map(lambda array: array[:0], one)
        self._read = read
        self._threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="reader")

    def rows(self, ids: np.ndarray, count: int) -> Rows:
        """A device's own samples of a step.

        Args:
            ids: sample ids, int32 [U, m].
            count: rows of them that are the device's own; the others are left 0.

        Returns:
            Rows of arrays [U, m, ...].
        """
        own = ids[:count].ravel()
        parts = np.array_split(own, min(self._threads, len(own)) or 1)
        read = self._pool.map(self._read, parts if len(own) else ())
        return Rows(jax.tree.map(lambda *arrays: _fill(ids.shape, arrays), self._none, *read))


def _fill(shape: tuple[int, int], parts: tuple[np.ndarray, ...]) -> np.ndarray:
    """The parts one after the other in an array [U, m, ...] that is 0 after them."""
    filled = np.zeros((shape[0] * shape[1], *parts[0].shape[1:]), parts[0].dtype)
    start = 0
    for part in parts:
        filled[start : start + len(part)] = part
        start += len(part)
    return filled.reshape(*shape, *filled.shape[1:])
