"""Ends the process that has started it, where that gives no sign of life: a program of its own.

    python -I -S guardian.py SECONDS LINE

Signs of life are bytes on stdin. Its end, as when the process has ended, ends this program. The
process may be suspended, or hang in native code; so it is killed, and the line says so on stderr.
On a busy machine it may have waited for a core: it is given that time as well. After `END` it gives
no more signs, and has `END_PARTS` times as long to end.
"""

import glob
import os
import select
import signal
import sys

GRACE_SECONDS = 1.0
END = b"e"  # the process has done its work
END_PARTS = 10


def main() -> None:
    """Watches until the process ends, or has to be ended."""
    seconds, line = float(sys.argv[1]), sys.argv[2]
    watched = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the process
        signal.signal(number, signal.SIG_IGN)
    while True:
        before = waited(watched)
        # Both may have been suspended, as with their whole job: then the sign comes soon.
        signs = watch(seconds) or watch(GRACE_SECONDS) or watch(more_waited(watched, before))
        if not signs:
            break
        if END in signs:
            seconds *= END_PARTS
    if os.getppid() == watched:  # it has not ended meanwhile
        print(line, file=sys.stderr, flush=True)
        os.kill(watched, signal.SIGKILL)


def watch(seconds: float) -> bytes:
    """Waits for signs of life; b"" if none comes in this time."""
    ready, _, _ = select.select([0], [], [], seconds)
    if not ready:
        return b""
    return os.read(0, 4096) or os._exit(0)


def more_waited(process: int, before: dict[str, float]) -> float:
    """The most that a thread has waited for a core since `waited` gave `before`, s."""
    after = waited(process)
    return max((after[thread] - before.get(thread, 0.0) for thread in after), default=0.0)


def waited(process: int) -> dict[str, float]:
    """Seconds for which each thread of a process has been ready to run and had no core, so far."""
    found = {}
    for file in glob.glob(f"/proc/{process}/task/*/schedstat"):
        try:
            with open(file) as content:
                found[file] = int(content.read().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):  # the thread has ended, or this is another system
            continue
    return found


if __name__ == "__main__":
    main()
