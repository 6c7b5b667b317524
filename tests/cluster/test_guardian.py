"""A process that waits for a core is not taken for one that is stuck."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hsi_jax.cluster import guardian
from hsi_jax.cluster.guardian import END, waited

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


def longest(process):
    return max(waited(process).values())


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the kernel does not tell")
def test_time_without_a_core_is_told_from_a_suspension(two_on_a_core):
    first, _ = two_on_a_core
    began = longest(first)
    deadline = time.monotonic() + 30
    while longest(first) < began + 0.2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(first, signal.SIGSTOP)
    time.sleep(0.2)  # until it stands still
    stopped = longest(first)
    time.sleep(0.5)
    assert longest(first) == stopped


def test_a_process_that_is_gone_has_not_waited():
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    assert waited(ended.pid) == {}


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
