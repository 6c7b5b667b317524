"""The processes that look through a collection together, each at a part of it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _alone(text: bytes) -> Sequence[bytes]:
    return [text]


@dataclass(frozen=True)
class Team:
    """How processes divide work on the host; by default there is one.

    Attributes:
        rank: number of this process.
        count: how many there are.
        add: the sum of the arrays of all processes, integers [...], the same in each.
        texts: the texts of all processes.
    """

    rank: int = 0
    count: int = 1
    add: Callable[[np.ndarray], np.ndarray] = _same
    texts: Callable[[bytes], Sequence[bytes]] = _alone

    def own(self, items: Sequence) -> Sequence:
        """The items that this process looks at."""
        return items[self.rank :: self.count]

    def check(self, error: InputError | None) -> None:
        """Raises in all processes what was found in any; every process must call it.

        Raises:
            InputError: of the first process that has one.
        """
        found = self.texts(str(error or "").encode())
        first = next((text for text in found if text), None)
        if first is not None:
            raise InputError(first.decode()) from error


def own_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
