"""Signs of life of this process, without which it is ended so that the others can go on.

A process that is suspended, or hangs in native code, cannot end itself. So another program watches
it (`hsi_jax.cluster.guardian`), which needs no network; that the process is gone is noticed by MPI.
A thread gives the signs, so that one that compiles, or computes for long, gives them too. Open
MPI's own detector (5.0.11) would do without another program, but starts ended in crashes with it
(docs/tried.md).
"""

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hsi_jax.cluster.guardian import END

SIGNS = 10  # in the time without one after which the process is ended
SLOWER = 10  # times as slow as ever, and still not taken for a hung device

_PROGRAM = Path(__file__).with_name("guardian.py")


class Guard:
    """Has this process ended where it gives no sign of life for some seconds."""

    def __init__(self, seconds: float, rank: int):
        """Begins to watch.

        Args:
            seconds: without a sign of life.
            rank: number of this process, for the line that tells of its end.
        """
        self._seconds, self._deadline = seconds, float("inf")
        line = (
            f"error: [{rank}] this process gave no sign of life for {seconds:g} s, or its device "
            f"hangs; it is ended, and the others go on"
        )
        read, self._write = os.pipe()
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(_PROGRAM), str(seconds), line],
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr.fileno() if sys.stderr else subprocess.DEVNULL,
            start_new_session=True,  # it is not suspended with the process
        )
        os.close(read)
        # The thread ends with the interpreter, and what follows may take long on a busy machine.
        atexit.register(os.write, self._write, END)
        threading.Thread(target=self._give_signs, name="signs of life", daemon=True).start()

    @contextlib.contextmanager
    def expects(self, seconds: float) -> Iterator[None]:
        """Takes a device for hung that is not ready long after this time."""
        self._deadline = time.monotonic() + SLOWER * seconds
        try:
            yield
        finally:
            self._deadline = float("inf")

    def _give_signs(self) -> None:
        while True:
            if time.monotonic() < self._deadline:
                os.write(self._write, b".")
            time.sleep(self._seconds / SIGNS)
