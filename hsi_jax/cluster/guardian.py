"""Ends the process that has started it, where that gives no sign of life: a program of its own.

    python -I -S guardian.py SECONDS LINE

Signs of life are bytes on stdin. Its end, as when the process has ended, ends this program. The
process may be suspended, or hang in native code; so it is killed, and the line says so on stderr.
On a busy machine it may wait for a core: that time does not count. After `END` it gives no more
signs, and has `END_PARTS` times as long to end.
"""

import glob
import os
import select
import signal
import sys

PERIODS = 5  # in the time without a sign, after each of which it looks at the process
END = b"e"  # the process has done its work
END_PARTS = 10


def main() -> None:
    """Watches until the process ends, or has to be ended."""
    seconds, line = float(sys.argv[1]), sys.argv[2]
    watched, period, silent = os.getppid(), seconds / PERIODS, 0.0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the process
        signal.signal(number, signal.SIG_IGN)
    before = look(watched)
    while silent < seconds:
        signs, after = watch(period), look(watched)
        if END in signs:
            seconds *= END_PARTS
        # A period counts once, however long it took: both may have been suspended with their job.
        silent = 0.0 if signs else silent + max(0.0, period - waited(before, after, period))
        before = after
    if os.getppid() == watched:  # it has not ended meanwhile
        print(line, file=sys.stderr, flush=True)
        os.kill(watched, signal.SIGKILL)


def watch(seconds: float) -> bytes:
    """Waits for signs of life; b"" if none comes in this time."""
    ready, _, _ = select.select([0], [], [], seconds)
    if not ready:
        return b""
    return os.read(0, 4096) or os._exit(0)


def look(process: int) -> dict[str, tuple[int, int, bool]]:
    """How each thread of a process fares; nothing where the system does not tell.

    Returns:
        Nanoseconds on a core, nanoseconds for which it has waited for one before, and whether it is
        on one or waits for one now.
    """
    found = {}
    for thread in glob.glob(f"/proc/{process}/task/*"):
        try:
            with open(f"{thread}/schedstat") as times, open(f"{thread}/stat") as state:
                ran, waits = map(int, times.read().split()[:2])
                found[thread] = ran, waits, state.read().rpartition(")")[2].split()[0] == "R"
        except (OSError, IndexError, ValueError):  # the thread has ended, or this is another system
            continue
    return found


def waited(
    before: dict[str, tuple[int, int, bool]],
    after: dict[str, tuple[int, int, bool]],
    period: float,
) -> float:
    """Seconds that the thread that has waited most for a core since `before` has waited.

    The kernel counts a wait when it is over. A thread that is ready, and has not run at all, has
    waited all the time.
    """
    longest = 0.0
    for thread, (ran, waits, ready) in after.items():
        ran_before, waits_before, ready_before = before.get(thread, (0, 0, False))
        counted = (waits - waits_before) / 1e9
        still = ready and ready_before and ran == ran_before
        longest = max(longest, counted, period if still else 0.0)
    return longest


if __name__ == "__main__":
    main()
