"""Starts the processes of a run on this machine and leaves none of them behind."""

import contextlib
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from hsi_jax.errors import InputError, LostWorkerError
from hsi_jax.launch.cpu_limit import LimitableProcess

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 3.0  # between SIGTERM and SIGKILL
STUCK_SECONDS = 5.0  # a throttle suspends a process for shorter times
LOG_LINES = 15
LOG_BYTES = 16_384  # enough for the last lines; a log may be large
SUSPENDED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_DISK_SLEEP)

PINNED_EXEC = Path(__file__).with_name("pinned_exec.py")


@dataclass(frozen=True)
class Worker:
    """A process to start.

    Attributes:
        command: program and arguments.
        environment: variables added to those of this process.
        core: the CPU that it is pinned to before it starts a thread, or None for any.
        log: file that its stdout and stderr go to; replaced if there is one.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    core: int | None
    log: Path


class WorkerError(LostWorkerError):
    """A worker has failed, or was killed or suspended.

    Attributes:
        rank: its number among the workers, from 0.
        exit_code: its exit code, or minus the number of the signal that ended or suspended it.
    """

    def __init__(self, rank: int, exit_code: int, log: Path):
        self.rank = rank
        self.exit_code = exit_code
        how = f"ended with exit code {exit_code}"
        if exit_code == -signal.SIGSTOP:
            how = "was suspended while the others waited for it"
        elif exit_code < 0:
            how = f"was killed by {signal.Signals(-exit_code).name}"
        super().__init__(f"rank {rank} {how}; the end of its log {log}:\n{last_lines(log)}")


class Terminated(BaseException):
    """SIGTERM came to this process; see `terminable`."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Turns SIGTERM into `Terminated`, as Python does Ctrl-C; in the main thread only."""

    def on_signal(number, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def available_cores() -> list[int]:
    """Numbers of the CPUs that this process, and so its workers, may use.

    Raises:
        InputError: if this is not Linux; only there can processes be pinned and tied to another.
    """
    if sys.platform != "linux":
        raise InputError(f"uneven processes need Linux, but this is {sys.platform}; run on Linux")
    return sorted(os.sched_getaffinity(0))


def free_port() -> int:
    """A TCP port of this machine that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Workers:
    """All workers of a run, running while inside `with`; none is alive after it.

    Every worker leads a session of its own. All processes that are left in that session's process
    group are ended with it, suspended or not. When this process dies, even by SIGKILL, the kernel
    kills the workers (not the processes that they have started). The kernel also does so when the
    *thread* that entered `with` ends, so enter it where you wait. Linux only.

    Attributes:
        processes: the processes by rank. Do not wait for one: that frees its id for another.
    """

    processes: list[psutil.Process]

    def __init__(self, workers: Sequence[Worker]):
        self._workers = list(workers)
        self._children: list[subprocess.Popen] = []
        self._stop_codes: tuple[int, ...] = ()
        self._active: list[tuple[float, float]] = []  # CPU time, and when it was last seen to grow

    def __enter__(self) -> "Workers":
        try:
            for worker in self._workers:
                self._start(worker)
        except BaseException:
            self._end()
            raise
        self.processes = [psutil.Process(child.pid) for child in self._children]
        self._active = [(0.0, time.monotonic())] * len(self.processes)
        return self

    def __exit__(self, *exception) -> None:
        self._end()

    def poll(self) -> bool:
        """Whether all have ended well.

        Raises:
            WorkerError: if one has failed; it names the one that was the cause.
        """
        self._note_active()
        exit_codes = [exit_code(child.pid) for child in self._children]
        failed = {
            rank: code
            for rank, code in enumerate(exit_codes)
            if code and code not in self._stop_codes
        }
        if failed:
            # The others fail, or abort, because they miss the one that was killed or suspended.
            killed = [rank for rank, code in failed.items() if code < 0 and code != -signal.SIGABRT]
            stuck = [
                rank
                for rank, code in enumerate(exit_codes)
                if code is None and self._is_stuck(rank)
            ]
            rank = min(killed or stuck or failed)
            code = failed.get(rank, -signal.SIGSTOP)
            raise WorkerError(rank, code, self._workers[rank].log)
        return None not in exit_codes

    def wait(self, watch: Callable[[], None] = lambda: None, grace: float = 60.0) -> None:
        """Waits until all have ended well, and calls `watch` about 20 times a second.

        Ctrl-C, and SIGTERM inside `terminable`, is passed on to the workers, which may take `grace`
        seconds to write their results; if they then end well, so does this. A second signal ends
        the wait at once.

        Raises:
            WorkerError: as soon as one has failed; leave `with` to end the others.
            KeyboardInterrupt: on Ctrl-C, if the workers do not end with code 0 after it.
            Terminated: on SIGTERM, under the same condition.
        """
        try:
            self._wait(watch, math.inf)
            return
        except (KeyboardInterrupt, Terminated) as exception:
            asked = type(exception)
        number = signal.SIGTERM if asked is Terminated else signal.SIGINT
        self._stop_codes = (128 + number,)  # what a run ends with when it was asked to
        self._signal(number)
        logging.getLogger(__name__).warning(
            "%s: waiting up to %g s for the processes to finish; a second one kills them",
            "SIGTERM" if asked is Terminated else "Ctrl-C",
            grace,
        )
        try:
            if not self._wait(watch, time.monotonic() + grace):
                raise asked
        except WorkerError as error:
            if error.exit_code == -number:
                raise asked from None
            raise
        if any(exit_code(child.pid) for child in self._children):
            raise asked

    def _start(self, worker: Worker) -> None:
        """Starts a worker and returns once the kernel will kill it with us.

        If it were suspended before that, it would outlive us.
        """
        core = "any" if worker.core is None else str(worker.core)
        read_end, write_end = os.pipe()
        start = (
            sys.executable,
            "-I",
            "-S",
            str(PINNED_EXEC),
            str(os.getpid()),
            str(write_end),
            core,
        )
        with open(read_end, "rb") as bound:
            with open(write_end, "wb"), open(worker.log, "wb") as log:
                child = subprocess.Popen(
                    (*start, *worker.command),
                    env=os.environ | worker.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(write_end,),
                )
            self._children.append(child)
            bound.read()  # ends when pinned_exec closes its copy of the other end

    def _note_active(self) -> None:
        """Notes which workers run, or could; a suspended one uses no time."""
        for rank, process in enumerate(self.processes):
            with contextlib.suppress(OSError, psutil.Error):  # it has ended
                used = LimitableProcess(process).used_seconds()
                if used != self._active[rank][0] or process.status() not in SUSPENDED:
                    self._active[rank] = used, time.monotonic()

    def _is_stuck(self, rank: int) -> bool:
        return time.monotonic() - self._active[rank][1] > STUCK_SECONDS

    def _wait(self, watch: Callable[[], None], deadline: float) -> bool:
        """Whether all have ended before the deadline."""
        while not self.poll():
            if time.monotonic() > deadline:
                return False
            watch()
            time.sleep(POLL_SECONDS)
        watch()
        return True

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            # The group is gone only once its leader has been waited for.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)

    def _end(self) -> None:
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < deadline and not self._all_ended():
                time.sleep(POLL_SECONDS)
        finally:
            self._signal(signal.SIGKILL)
            for child in self._children:
                child.wait()

    def _all_ended(self) -> bool:
        return all(exit_code(child.pid) is not None for child in self._children)


def exit_code(pid: int) -> int | None:
    """The exit code of a child, minus a signal's number, or None while it runs.

    The child can still be waited for, so its id, and its group's, cannot become another's.
    """
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def last_lines(log: Path, max_lines: int = LOG_LINES) -> str:
    """The end of a log, at most `max_lines` lines."""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-max_lines:]) or "(empty)"
