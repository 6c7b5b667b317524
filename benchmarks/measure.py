"""Times of competitors measured in turn, on a machine that the report names (Linux)."""

import argparse
import contextlib
import os
import time
from collections.abc import Callable, Mapping

import jax
import numpy as np
import psutil

from hsi_jax.launch.measured_processes import describe_machine


def parse_arguments(
    docstring: str | None,
    add_flags: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> argparse.Namespace:
    """Reads --repeats and --cores and pins this process; call it before JAX makes its threads.

    Args:
        docstring: of the benchmark; its first line is the description.
        add_flags: defines the benchmark's own flags.
    """
    parser = argparse.ArgumentParser(description=first_line(docstring))
    parser.add_argument("--repeats", type=int, default=7, help="rounds of all competitors in turn")
    parser.add_argument("--cores", help="pin to these CPU cores, for example 0 or 0,1")
    add_flags(parser)
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats={arguments.repeats}: give a whole number >= 1")
    if arguments.cores is not None:
        try:
            os.sched_setaffinity(0, {int(core) for core in arguments.cores.split(",")})
        except (OSError, ValueError):
            allowed = sorted(os.sched_getaffinity(0))
            parser.error(f"--cores={arguments.cores}: give some of {allowed} between commas")
    print(describe_machine(pinned=arguments.cores is not None))
    return arguments


def interleave(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Runs every call once to compile, then all in turn, so that a busy moment hits them alike.

    Args:
        calls: competitors by name; what they return is waited for.
        repeats: rounds.

    Returns:
        Seconds of each call, float64 [repeats], by name.
    """
    times = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - start)
    return {name: np.array(seconds) for name, seconds in times.items()}


class Watch:
    """The time that a benchmark may take, and what other programs did meanwhile."""

    def __init__(self, minutes: float | None = None):
        """Begins; None for as long as it takes."""
        self._start = self._since = time.perf_counter()
        self._limit = float("inf") if minutes is None else 60 * minutes
        self._busy, self._own = _busy_seconds(), _own_seconds()

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._limit - (time.perf_counter() - self._start))

    def describe_load(self) -> str:
        """How many cores other programs have used since the last call, or the beginning."""
        now, busy, own = time.perf_counter(), _busy_seconds(), _own_seconds()
        seconds = max(0.0, (busy - self._busy) - (own - self._own))
        others = seconds / max(now - self._since, 1e-9)
        self._since, self._busy, self._own = now, busy, own
        return f"other programs used {others:.1f} of {psutil.cpu_count()} cores"


def _busy_seconds() -> float:
    """CPU time of all programs of the machine, of all cores together."""
    times = psutil.cpu_times()
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))


def _own_seconds() -> float:
    """CPU time of this program and all that it has started."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # it may have ended; its parent then counts it
            total += sum(process.cpu_times()[:4])
    return total


def add_minutes(parser: argparse.ArgumentParser) -> None:
    """Defines --minutes."""
    help = "time to stop after; what has been measured is told"
    parser.add_argument("--minutes", type=float, metavar="NUMBER", help=help)


def first_line(docstring: str | None) -> str:
    """What a program does, by its docstring."""
    return (docstring or "").partition("\n")[0]
