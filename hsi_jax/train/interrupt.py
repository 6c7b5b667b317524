"""Ctrl-C and SIGTERM that lose nothing."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import numpy as np

from hsi_jax.cluster.exchange import gather, num_processes

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STEPS_BETWEEN_CHECKS = 10  # in a cluster, where asking all processes takes time


@contextlib.contextmanager
def interrupts() -> Iterator[Callable[[], int]]:
    """Turns the first Ctrl-C, and the first SIGTERM, into a question asked between steps.

    The second of a kind acts as always. Outside the main thread, where Python takes no signals,
    the answer is always 0.

    Yields:
        A function that tells the number of the signal that has come, SIGTERM before SIGINT, or 0.
    """
    came = {number: threading.Event() for number in SIGNALS}

    def answer() -> int:
        return max((int(number) for number, event in came.items() if event.is_set()), default=0)

    if threading.current_thread() is not threading.main_thread():
        yield answer
        return

    def on_signal(number, frame):
        came[number].set()
        signal.signal(number, before[number])

    # A handler that was not set from Python cannot be set back from it: JAX has one for SIGTERM.
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield answer
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signal_to_all(step: int, number: int) -> int:
    """The highest signal that came to any process, which ask each other only now and then."""
    if num_processes() == 1:
        return number
    if step % STEPS_BETWEEN_CHECKS:
        return 0
    return int(gather(np.array([number], np.int32)).max())
