"""The processes of a run that mpirun starts on this machine, of which some may be lost."""

import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from hsi_jax.launch.mpirun import ENVIRONMENT, find_ranks, mpirun_command
from hsi_jax.launch.pinned_exec import MPIRUN
from hsi_jax.launch.restarts import stamp
from hsi_jax.launch.workers import (
    PINNED_EXEC,
    POLL_SECONDS,
    Worker,
    WorkerError,
    Workers,
    exit_code,
)


class MpiWorkers(Workers):
    """Processes that go on without those that are lost, running while inside `with`.

    What `Workers` says of its processes holds for these: they are tied to mpirun, which is tied to
    this process. Signals go to them, because mpirun would end them.
    """

    def __init__(
        self,
        mpirun: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cores: Sequence[int],
        log: Path,
        result: Path,
    ):
        """Of an mpirun that is still to be started.

        Args:
            mpirun: its path.
            command: program and arguments of every process.
            environment: variables added to those of this process.
            cores: the CPU that each process is pinned to, by rank.
            log: file that all processes print to, and mpirun; replaced if there is one.
            result: file that they write anew at a good end. mpirun ends with code 0 as well where
                all of them were killed.
        """
        pinned = [sys.executable, "-I", "-S", str(PINNED_EXEC), MPIRUN, MPIRUN]
        pinned += [",".join(map(str, cores)), *command]
        start = tuple(mpirun_command(mpirun, pinned, len(cores)))
        super().__init__([Worker(start, {**environment, **ENVIRONMENT}, None, log)])
        self._count, self._log, self._lost = len(cores), log, list[int]()
        self._result, self._before = result, stamp(result)

    def __enter__(self) -> "MpiWorkers":
        super().__enter__()
        try:
            self.processes = self._find()
        except BaseException:
            self._end()
            raise
        return self

    def poll(self) -> bool:
        """Whether all that are left have ended well.

        Raises:
            WorkerError: if they have not. It names the process that was lost first.
        """
        for rank, process in enumerate(self.processes):
            if rank not in self._lost and not process.is_running():
                self._lost.append(rank)
        code = exit_code(self._children[0].pid)
        if code == 0 and stamp(self._result) == self._before:
            code = -signal.SIGKILL
        if code and code not in self._stop_codes:
            raise WorkerError(self._lost[0] if self._lost else 0, code, self._log)
        return code is not None

    def _find(self) -> list[psutil.Process]:
        """The processes by rank, once mpirun has started them."""
        (mpirun,) = self.processes
        self.processes = []  # until they are there
        while len(found := find_ranks(mpirun)) < self._count and not self.poll():
            time.sleep(POLL_SECONDS)
        return list(found.values())

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            if process.is_running():
                process.send_signal(number)
        if number == signal.SIGKILL or not self.processes:
            super()._signal(number)
