"""Ends the process that has started it, where that gives no sign of life: a program of its own.

    python -I -S guardian.py SECONDS LINE

Signs of life are bytes on stdin. Its end, as when the process has ended, ends this program, and so
does `END`. The process may be suspended, or hang in native code; so it is killed, and the line says
so on stderr. On a busy machine it may have waited for a core: it is given that time as well.
"""

import glob
import os
import select
import signal
import sys

GRACE_SECONDS = 1.0
END = b"e"  # the process has done its work


def main() -> None:
    """Watches until the process ends, or has to be ended."""
    seconds, line = float(sys.argv[1]), sys.argv[2]
    watched = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the process
        signal.signal(number, signal.SIG_IGN)
    # Both may have been suspended, as with their whole job: then the sign comes soon.
    while True:
        before = waited(watched)
        if watch(seconds) or watch(GRACE_SECONDS):
            continue
        after = waited(watched)
        if not watch(max((after[key] - before.get(key, 0.0) for key in after), default=0.0)):
            break
    if os.getppid() == watched:  # it has not ended meanwhile
        print(line, file=sys.stderr, flush=True)
        os.kill(watched, signal.SIGKILL)


def watch(seconds: float) -> bool:
    """Waits for a sign of life; False if none comes in this time."""
    ready, _, _ = select.select([0], [], [], seconds)
    if ready:
        signs = os.read(0, 4096)
        if not signs or END in signs:
            os._exit(0)
    return bool(ready)


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
