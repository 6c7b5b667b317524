"""How a process ends when another is lost, or when it fails itself: with one line, and soon.

A normal exit would wait for the other processes, and JAX would end them by abort() with a stack of
C++. What native code prints is therefore kept from stderr, unless `HSI_JAX_TRACE` is set.
"""

import atexit
import ctypes
import faulthandler
import io
import os
import re
import signal
import sys
import tempfile
import threading
import time
from typing import NoReturn, Protocol

TRACE = "HSI_JAX_TRACE"
LINGER_SECONDS = 0.5  # so that a launcher sees the process first that was the cause
REASON_LENGTH = 500
FAILED = 1  # exit code of a process that ends because of another one, or of an unknown error
RESUME = "the run can be resumed from its newest checkpoint, if it has one"

_ending = threading.Lock()  # never given back: whoever has it ends the process
_roll_call: "RollCall | None" = None
_rank = 0
_loss = ""  # what is known of it, while this process lingers
_native: list = []  # where native code prints, and the handler of SIGABRT, which must live on


class RollCall(Protocol):
    """How the others learn that this process ends; see `hsi_jax.cluster.roll_call.Host`."""

    def fail(self, reason: str) -> None:
        """Tells them why it fails."""
        ...

    def report(self, rank: int, reason: str) -> None:
        """Tells them that another one is lost."""
        ...

    def finish(self) -> None:
        """Tells them that it ends as it should."""
        ...


def join_roll_call(roll_call: RollCall, rank: int) -> None:
    """Tells the others from now on how this process ends; call it after JAX has joined them."""
    global _roll_call, _rank
    if _roll_call is None:
        atexit.register(_finish)  # before JAX's own, which waits for the others
    _roll_call, _rank = roll_call, rank


def is_joined() -> bool:
    """Whether this process takes part in a roll call."""
    return _roll_call is not None


def end_after_loss(rank: int, reason: str) -> None:
    """Ends this process because another one was lost.

    Args:
        rank: of the other process.
        reason: what it said, or "".
    """
    global _loss
    _loss = _describe(rank, reason)
    time.sleep(LINGER_SECONDS)
    _end(_loss, FAILED)


def _describe(rank: int, reason: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in reason)
    why = printable or "it was killed, or ended without a word"
    return f"process {rank} was lost: {why}; {RESUME}"


def leave_cluster(reason: str, exit_code: int = 2) -> NoReturn:
    """Ends this process with a line on stderr, and tells the others why."""
    _end(reason, exit_code, tell=True)


def leave_after_error(error: Exception) -> NoReturn:
    """Ends this process after a collective has failed, most often because another was lost."""
    time.sleep(4 * LINGER_SECONDS)  # meanwhile the roll call says who it was, if it knows
    leave_cluster(
        f"the processes cannot go on: one of them was lost, or failed; see what each has printed "
        f"({str(error).splitlines()[0]}); {RESUME}",
        FAILED,
    )


def explain_aborts() -> None:
    """Prints a line where JAX ends this process by abort(); for programs, before they join others.

    From now on, what is written to file descriptor 2 is seen only where that line quotes it, so
    `sys.stderr` must have another one.
    """
    if _native or os.name != "posix" or os.environ.get(TRACE):
        return
    if faulthandler.is_enabled():
        faulthandler.enable(sys.stderr)
    printed = tempfile.TemporaryFile()  # noqa: SIM115, it is open as long as the process is
    os.dup2(printed.fileno(), 2)
    # Python's own handlers run in the main thread, to which abort() does not return.
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: _end_aborted(_text()))
    ctypes.CDLL(None).signal(signal.SIGABRT, handler)
    _native.extend([printed, handler])


def _end_aborted(text: str) -> NoReturn:
    """Ends this process while native code aborts it."""
    rank, reason = explain(text)
    if rank is None:
        leave_cluster(_loss or reason, FAILED)
    if _roll_call and not _loss:
        _roll_call.report(rank, reason)  # or the others would take this process for the cause
    _end(_loss or _describe(rank, reason), FAILED)


def explain(text: str) -> tuple[int | None, str]:
    """The process that JAX has lost, or None; and why native code called abort(), in a line.

    JAX names the processes that have given no sign of life; only process 0 can be lost otherwise.
    """
    lost = re.search(r"heartbeats?\)?:\s*(?:\S*task:)?(\d+)|task:(\d+) heartbeat timeout", text)
    if lost or "distributed service" in text:
        rank = next(filter(None, lost.groups())) if lost else 0
        why = "it gave no sign of life; it was suspended or killed, or the network is cut"
        return int(rank), why
    lines = [line for line in text.splitlines() if line.strip()] or ["it printed nothing"]
    fatal = [line for line in lines if re.match(r"F\d{4} ", line)]
    said = (fatal or lines)[-1][:REASON_LENGTH]
    return None, f"native code ended the process ({said}); set {TRACE}=1 to see all it printed"


def _text() -> str:
    printed: io.BufferedRandom = _native[0]
    size = os.fstat(printed.fileno()).st_size
    return os.pread(printed.fileno(), 2**16, max(0, size - 2**16)).decode(errors="replace")


def _finish() -> None:
    error = getattr(sys, "last_value", None)  # Python has printed it
    if error is not None and _roll_call:
        _roll_call.fail(f"{type(error).__name__}: {error}"[:REASON_LENGTH])
        sys.stdout.flush()
        os._exit(FAILED)
    if _roll_call:
        _roll_call.finish()


def _end(message: str, exit_code: int, tell: bool = False) -> NoReturn:
    _ending.acquire()
    print(f"error: [{_rank}] {message}", file=sys.stderr, flush=True)
    if tell and _roll_call:
        _roll_call.fail(message[:REASON_LENGTH])
    os._exit(exit_code)
