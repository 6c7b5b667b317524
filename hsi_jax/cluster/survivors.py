"""Sums over processes of which any may be lost: the others notice, close ranks and go on.

By Open MPI 5 with ULFM (Bland et al., 2013, "Post-failure recovery of MPI communication
capability"), which mpi4py speaks: a lost process makes an operation fail; `Revoke` wakes those who
wait in it for others; `Agree` lets all who are left take an operation for complete or for failed
alike; `Shrink` gives them a communicator of their own. A process that is suspended, or hangs, is
ended by its guard (`hsi_jax.cluster.guard`).

Whoever waits sleeps: it must not take the core that a slower process of its machine needs.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI

from hsi_jax.cluster.guard import Guard
from hsi_jax.errors import DivergenceError, DriftError, LostWorkerError

SPIN_SECONDS = 0.0005  # of a wait, before it sleeps
NAP_PART = 0.02  # of the time waited so far, that a nap takes
MAX_NAP_SECONDS = 0.001
MISTAKE = 2  # exit code of a run that cannot begin

OnLoss = Callable[[], Any]


@dataclass
class Loss:
    """A process that was lost, with what it cost the others.

    Attributes:
        process: its number.
        noticed: when this process noticed it, by `time.monotonic`.
        step: in which that was, or before which; None while that is not known.
        seconds: from then to the end of the next complete step; None while there was none.
    """

    process: int
    noticed: float
    step: int | None = None
    seconds: float | None = None


class Survivors:
    """The processes that are left of those that have started together.

    Their numbers are those from the start, for good.

    Attributes:
        rank: number of this process.
        count: processes that were started.
        alive: numbers of those that are left, in order.
        losses: so far.
        must_survive: whether a loss is made good; until then, it raises an error.
        guard: ends this process where it is stuck.
    """

    def __init__(self, lost_after: float):
        """Of the processes that mpirun has started; `lost_after` is for `Guard`, in s."""
        self._world = MPI.COMM_WORLD
        self._comm: MPI.Comm = self._world
        self._world.Set_errhandler(MPI.ERRORS_RETURN)
        self.rank, self.count = self._world.Get_rank(), self._world.Get_size()
        self.alive = tuple(range(self.count))
        self.losses: list[Loss] = []
        self.must_survive = False
        self.guard = Guard(lost_after, self.rank)
        self._on_first: list[Callable[[], object]] = []

    @property
    def lost(self) -> frozenset[int]:
        """Numbers of the processes that are lost."""
        return frozenset(range(self.count)) - frozenset(self.alive)

    @property
    def first(self) -> int:
        """Number of the process that writes for all."""
        return self.alive[0]

    def on_first(self, call: Callable[[], object]) -> None:
        """Has a function called should this process become the first one that is left."""
        self._on_first.append(call)

    def add(self, values: np.ndarray, on_loss: OnLoss | None = None) -> np.ndarray:
        """The sum of the same-shaped arrays of all who are left; see `hsi_jax.cluster.exchange`."""
        while True:
            own = np.ascontiguousarray(values)
            total = np.empty_like(own)
            if self._complete(lambda comm, own=own, total=total: comm.Iallreduce(own, total)):
                return total.reshape(np.shape(values))
            self._close_ranks()
            values = values if on_loss is None else on_loss()

    def gather(self, values: np.ndarray) -> np.ndarray:
        """The arrays of all processes, [processes, ...]; 0 of those that are lost."""
        own = np.ascontiguousarray(values)
        sent = own.reshape(-1).view(np.uint8)
        while True:
            rows = np.empty((len(self.alive), own.nbytes), np.uint8)
            if self._complete(lambda comm, rows=rows: comm.Iallgather(sent, rows)):
                break
            self._close_ranks()
        found = np.zeros((self.count, *np.shape(values)), own.dtype)
        for process, row in zip(self.alive, rows, strict=True):
            found[process] = row.view(own.dtype).reshape(np.shape(values))
        return found

    def end_step(self, step: int) -> None:
        """Notes of the losses that are not made good yet that they are, by the end of this step."""
        for loss in self.losses:
            if loss.seconds is None:
                loss.step, loss.seconds = step, time.monotonic() - loss.noticed

    def _complete(self, begin: Callable[[MPI.Comm], MPI.Request]) -> bool:
        """Whether an operation has ended well in every process; all get the same answer."""
        done = np.ones(1, np.int32)
        try:
            self._wait(begin(self._comm))
        except MPI.Exception:
            self._comm.Revoke()
            done[0] = 0
        try:
            self._wait(self._comm.Iagree(done))
        except MPI.Exception:
            return False
        return bool(done[0])

    def _wait(self, request: MPI.Request) -> None:
        began = time.monotonic()
        while not request.Test():
            waited = time.monotonic() - began
            if waited < SPIN_SECONDS:
                os.sched_yield()
            else:
                time.sleep(min(MAX_NAP_SECONDS, NAP_PART * waited))

    def _close_ranks(self) -> None:
        """Goes on with those who are left.

        Raises:
            LostWorkerError: before `must_survive`.
        """
        noticed, before = time.monotonic(), self.alive
        self._comm.Revoke()
        self._comm = self._comm.Shrink()
        self._comm.Set_errhandler(MPI.ERRORS_RETURN)
        group = self._comm.Get_group()
        numbers = MPI.Group.Translate_ranks(group, None, self._world.Get_group())
        self.alive = tuple(numbers)
        lost = sorted(set(before) - set(self.alive))
        self.losses += [Loss(process, noticed) for process in lost]
        if not self.must_survive:
            names = ", ".join(map(str, lost))
            raise LostWorkerError(
                f"process {names} was lost before the first step; see what it has printed, and "
                f"start again"
            )
        if self.first == self.rank != before[0]:
            for call in self._on_first:
                call()


class MpiRollCall:
    """How this process ends: alone once losses are made good, and until then with all others."""

    def __init__(self, survivors: Survivors):
        self._survivors = survivors

    def fail(self, reason: str) -> None:
        """Ends this process, so that the others notice it; why is in its own output.

        Open MPI 5.0.11 does not tell them of one that ends with another exit code than 0: they
        would wait for it for ever. Where training diverges or drifts, each ends so by itself.
        """
        if not self._survivors.must_survive:
            MPI.COMM_WORLD.Abort(MISTAKE)
        if not isinstance(sys.exception(), DivergenceError | DriftError):
            sys.stdout.flush()
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def report(self, rank: int, reason: str) -> None:
        """The others find out by themselves."""

    def finish(self) -> None:
        """They also see by themselves that this process has ended."""
