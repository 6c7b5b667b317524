"""Standard output and error that end no run: not by a closed pipe, and not by an old terminal."""

import contextlib
import io
import os
import sys


class _Unfailing(io.FileIO):
    """A file that takes all it is given; what cannot be written is lost."""

    def write(self, data) -> int:
        written = None  # as where the reader of a pipe is slow and nobody is to wait for it
        with contextlib.suppress(OSError):  # nobody reads any more, or the disk is full
            written = super().write(data)
        return memoryview(data).nbytes if written is None else written


def open_closed_streams() -> None:
    """Opens stdin, stdout and stderr as nothing where the program was started without them.

    Else the next file that is opened would get their number, and what C++ code prints.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def secure_streams() -> None:
    """Makes printing safe for the rest of the program.

    Characters that the terminal cannot show are printed as escapes. `sys.stderr` gets a descriptor
    of its own, so that native code can be silenced alone; see `hsi_jax.cluster.loss`.
    """
    for number, name in ((1, "stdout"), (os.dup(2), "stderr")):
        stream = getattr(sys, name)
        encoding = "utf-8"
        if stream is not None:
            encoding = stream.encoding
            with contextlib.suppress(OSError):
                stream.flush()
        buffer = io.BufferedWriter(_Unfailing(number, "w", closefd=False))
        safe = io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=True)
        setattr(sys, name, safe)
