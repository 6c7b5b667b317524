"""A process that waits for a core is not taken for one that is stuck."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hsi_jax.cluster import guardian
from hsi_jax.cluster.guardian import END, look, waited

BUSY = "while True: pass"


@pytest.fixture
def two_on_a_core():
    """Two processes that share a core and never rest."""
    core = min(os.sched_getaffinity(0))
    running = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(2)]
    for process in running:
        os.sched_setaffinity(process.pid, {core})
    yield [process.pid for process in running]
    for process in running:
        process.kill()
        process.wait()


def fares(process, seconds):
    """How long a process waits for a core in this time, at most."""
    before = look(process)
    time.sleep(seconds)
    return waited(before, look(process), seconds)


@pytest.mark.skipif(not look(os.getpid()), reason="the kernel does not tell")
def test_time_without_a_core_is_told_from_a_suspension(two_on_a_core):
    first, _ = two_on_a_core
    deadline = time.monotonic() + 30
    while fares(first, 0.5) < 0.05:
        assert time.monotonic() < deadline
    os.kill(first, signal.SIGSTOP)
    time.sleep(0.2)  # until it stands still
    assert fares(first, 0.5) == 0


def test_a_wait_that_is_not_over_counts():
    before = {"a": (10**9, 0, True), "b": (0, 0, False), "c": (5, 10**9, True)}
    assert waited(before, before, 2.0) == 2
    assert waited(before, before | {"a": (2 * 10**9, 10**9, True)}, 3.0) == 3  # c
    ran = {"a": (2 * 10**9, 10**9, True), "c": (6, 10**9, True)}
    assert waited(before, ran, 3.0) == 1
    assert waited(before, {"b": (0, 0, True), "a": (10**9, 0, False)}, 3.0) == 0
    assert waited({}, {}, 3.0) == 0


def test_a_process_that_is_gone_has_not_waited():
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    assert look(ended.pid) == {}


# It says that it has done its work, and is suspended for good, or lives on for as long as told.
ENDING = """
import os, signal, subprocess, sys, time
guardian, end, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
watched = subprocess.Popen(
    [sys.executable, '-I', '-S', guardian, '0.2', 'it was ended'], stdin=subprocess.PIPE
)
watched.stdin.write(end.encode())
watched.stdin.flush()
if seconds:
    time.sleep(seconds)
else:
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.parametrize(
    ("end", "seconds", "code"),
    [
        (END.decode(), 0, -signal.SIGKILL),
        (END.decode(), 2, 0),
        ("", 0, -signal.SIGKILL),
        ("", 20, -signal.SIGKILL),
    ],
    ids=["suspended at the end", "slow at the end", "suspended", "without signs"],
)
def test_a_process_that_does_not_end_is_ended(end, seconds, code):
    command = [sys.executable, "-c", ENDING, guardian.__file__, end, str(seconds)]
    ended = subprocess.run(command, stderr=subprocess.PIPE, timeout=60, check=False)
    assert ended.returncode == code
    assert (ended.stderr == b"it was ended\n") == (code != 0)
