"""A run under mpirun that benchmarks and tests start, watch and disturb."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from benchmarks.launched import MAX_SECONDS, METRICS
from hsi_jax.launch.launching import ENVIRONMENT
from hsi_jax.launch.mpirun import ENVIRONMENT as MPI_ENVIRONMENT
from hsi_jax.launch.mpirun import find_mpirun, find_ranks, mpirun_command

RUN = (sys.executable, "-m", "hsi_jax", "run")


class MpiRun:
    """`experiments.run` in several processes, running, and its output so far.

    Use it in a `with`: nothing of it is left behind.
    """

    def __init__(
        self, workdir: Path, count: int, flags: Sequence[str], command=RUN, **environment: str
    ):
        """Starts it, by a command; its output goes to a log beside the run's folder."""
        program = find_mpirun()
        if program is None:
            raise FileNotFoundError("there is no mpirun of Open MPI 5, or no mpi4py")
        self.workdir, self.count = workdir, count
        self._log = workdir.with_name(f"{workdir.name}.{time.monotonic_ns()}.log")
        run = [*command, *flags, f"--workdir={workdir}"]
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                mpirun_command(program, run, count),
                env=os.environ | ENVIRONMENT | MPI_ENVIRONMENT | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "MpiRun":
        return self

    def __exit__(self, *exception) -> None:
        workers = self.workers().values()
        self.process.kill()
        self.process.wait()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()

    def output(self) -> str:
        """All that it has printed so far."""
        return self._log.read_text(errors="replace")

    def workers(self) -> dict[int, psutil.Process]:
        """Its processes that are alive, by number."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return find_ranks(psutil.Process(self.process.pid))
        return {}

    def lines(self) -> int:
        """Lines of its record so far."""
        path = self.workdir / METRICS
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def wait_until(self, condition: Callable[[], object], seconds: float = MAX_SECONDS) -> bool:
        """Waits for a condition; False if all has ended before."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                return bool(condition())
            if time.monotonic() > deadline:
                raise TimeoutError(self.output())
            time.sleep(0.002)
        return True

    def hit(self, number: int, how: signal.Signals = signal.SIGKILL) -> float | None:
        """Sends a signal to a process; when, by `time.monotonic`, or None if it was not there."""
        with contextlib.suppress(psutil.NoSuchProcess, KeyError):
            worker, at = self.workers()[number], time.monotonic()
            worker.send_signal(how)
            return at
        return None

    def finish(self, seconds: float = MAX_SECONDS) -> int:
        """The exit code of mpirun, once it has ended."""
        return self.process.wait(seconds)
