"""The throttle on real processes. How exact it is, `benchmarks.throttle` measures.

What a limit does in which time is tested in test_cpu_limit.py, where no program can disturb it.
"""

import math
import os
import sys
import time
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from hsi_jax.errors import InputError
from hsi_jax.launch.placement import Placement, place
from hsi_jax.launch.throttle import Throttle, limits
from hsi_jax.launch.workers import Worker, Workers, available_cores

CORES = available_cores() if sys.platform == "linux" else []
PATIENCE = 120  # seconds that anything here may take on a busy machine

needs_linux = pytest.mark.skipif(not CORES, reason="processes are pinned on Linux only")
needs_two_cores = pytest.mark.skipif(
    len(CORES) < 2, reason=f"needs 2 CPUs, and only {len(CORES)} may be used"
)


@pytest.mark.parametrize(
    ("placements", "expected"),
    [
        ([(0, 1.0)], [1]),
        ([(0, 0.5), (0, 0.5)], [1, 1]),
        ([(0, 1 / 3), (1, 0.25), (0, 1 / 3), (0, 1 / 3)], [1, 0.25, 1, 1]),
        ([(0, 0.5), (1, 0.5)], [0.5, 0.5]),
        ([(0, 0.5), (0, 0.25), (0, 0.25)], [0.5, 0.25, 0.25]),
        ([(0, 0.3), (0, 0.3), (0, 0.3)], [0.3, 0.3, 0.3]),
    ],
)
def test_processes_that_fill_a_core_evenly_are_left_to_the_kernel(placements, expected):
    assert limits([Placement(core, fraction) for core, fraction in placements]) == expected


# Counts in memory what the test can read while the process runs or is suspended.
COUNT = """
import mmap, sys
with open(sys.argv[1], 'r+b') as file:
    counter = mmap.mmap(file.fileno(), 8)
n = 0
while True:
    n += 1
    if n % 100 == 0:
        counter[:] = n.to_bytes(8, 'little')
"""


class Counting:
    """Workers that count, and how far they are."""

    def __init__(self, folder, placements):
        self.placements = placements
        self._files = [folder / f"count{rank}" for rank in range(len(placements))]
        for file in self._files:
            file.write_bytes(bytes(8))

    def workers(self):
        command = (sys.executable, "-S", "-c", COUNT)
        return [
            Worker((*command, str(file)), {}, placement.core, file.with_suffix(".log"))
            for file, placement in zip(self._files, self.placements, strict=True)
        ]

    def read(self):
        return np.array([int.from_bytes(file.read_bytes(), "little") for file in self._files])


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)


class Used:
    """The CPU time that processes use from now on."""

    def __init__(self, processes):
        self._processes = processes
        self._start, self._before = time.monotonic(), self._seconds()

    def parts(self):
        """CPU time by the time that has passed, [processes]; 1 until a second has passed."""
        used, passed = self._seconds() - self._before, time.monotonic() - self._start
        return used / passed if passed > 1 else np.ones(len(used))

    def _seconds(self):
        return np.array([sum(process.cpu_times()[:2]) for process in self._processes])


@pytest.fixture
def throttled(tmp_path):
    """Starts workers that count, one for each placement, and throttles them."""

    @contextmanager
    def start(placements):
        counting = Counting(tmp_path, placements)
        with Workers(counting.workers()) as workers:
            wait_until(lambda: not workers.poll() and counting.read().all())
            with Throttle(workers.processes, placements) as throttle:
                yield counting, throttle, workers.processes

    return start


@needs_linux
@pytest.mark.parametrize(
    ("speeds", "num_cores"),
    [
        ((4, 1), 1),
        ((6, 3, 1), 1),
        pytest.param((4, 1), 2, marks=needs_two_cores),
        pytest.param((4, 2, 1, 1), 2, marks=needs_two_cores),
    ],
)
def test_nobody_uses_more_than_its_fraction(throttled, speeds, num_cores):
    placements = place(speeds, CORES[:num_cores])
    fractions = np.array([placement.fraction for placement in placements])
    with throttled(placements) as (counting, throttle, processes):
        used = Used(processes)
        # Other programs can only make it less, or the throttle late: it makes up for that.
        wait_until(lambda: np.all(used.parts() < 1.1 * fractions))
        wait_until(lambda: np.all(np.isfinite(throttle.asked)))
        before = counting.read()
        wait_until(lambda: np.all(counting.read() > before))  # all go on
    assert throttle.asked == pytest.approx(fractions)
    assert min(throttle.realised) > 0


@needs_linux
def test_a_process_with_less_than_its_core_is_suspended_and_resumed(throttled):
    with throttled([Placement(CORES[0], 0.1)]) as (_, _, processes):
        for _ in range(3):
            wait_until(lambda: processes[0].status() == psutil.STATUS_STOPPED)
            wait_until(lambda: processes[0].status() != psutil.STATUS_STOPPED)


@needs_linux
def test_a_slowdown_comes_and_goes(throttled):
    with throttled(place((1, 1), CORES[:1])) as (_, throttle, processes):
        assert throttle.parts == [1, 1]
        throttle.set_slowdown(0, 4)
        # It takes nothing from its neighbour, and gives it nothing: three eighths stay idle.
        assert throttle.parts == [0.125, 0.5]
        used = Used(processes)
        wait_until(lambda: np.all(used.parts() < [0.15, 0.6]))
        wait_until(lambda: throttle.asked[0] < 0.5)
        throttle.set_slowdown(0, 1)
        assert throttle.parts == [1, 1]
        lowest = throttle.asked[0]
        wait_until(lambda: throttle.asked[0] > lowest)
    assert 0.125 < throttle.asked[0] < 0.5
    assert throttle.asked[1] == pytest.approx(0.5)


# Two processes throw a byte to and fro through named pipes.
THROW_AND_CATCH = """
import sys
outward = open(sys.argv[1], 'wb', 0)
inward = open(sys.argv[2], 'rb', 0)
for _ in range(500):
    outward.write(b'x')
    inward.read(1)
"""
CATCH_AND_THROW = """
import sys
inward = open(sys.argv[1], 'rb', 0)
outward = open(sys.argv[2], 'wb', 0)
while inward.read(1):
    outward.write(b'x')
"""


@needs_linux
def test_processes_that_wait_for_each_other_come_to_an_end(tmp_path):
    pipes = [str(tmp_path / "there"), str(tmp_path / "back")]
    for pipe in pipes:
        os.mkfifo(pipe)
    placements = [Placement(CORES[0], 0.25), Placement(CORES[0], 0.125)]
    workers = [
        Worker((sys.executable, "-S", "-c", program, *pipes), {}, CORES[0], tmp_path / name)
        for name, program in (("throw", THROW_AND_CATCH), ("catch", CATCH_AND_THROW))
    ]
    with Workers(workers) as two, Throttle(two.processes, placements):
        two.wait()
        assert two.poll()


@needs_linux
def test_a_process_with_a_core_of_its_own_is_never_suspended(throttled):
    with throttled([Placement(CORES[0], 1.0)]) as (_, _, processes):
        seen = {processes[0].status() for _ in range(2000)}
    assert psutil.STATUS_STOPPED not in seen


@needs_linux
def test_processes_run_freely_afterwards(tmp_path):
    placements = [Placement(CORES[0], 0.05)]
    counting = Counting(tmp_path, placements)
    with Workers(counting.workers()) as workers:
        for _ in range(5):  # whatever it is at when it stops
            with Throttle(workers.processes, placements):
                time.sleep(0.05)
            assert workers.processes[0].status() != psutil.STATUS_STOPPED


@needs_linux
def test_processes_that_end_do_no_harm(tmp_path):
    placements = place((2, 1, 1), CORES[:1])
    counting = Counting(tmp_path, placements)
    with Workers(counting.workers()) as workers, psutil.Popen(["true"]) as ended:
        ended.wait()  # its id is free
        processes = [ended, *workers.processes[1:]]
        with Throttle(processes, placements) as throttle:
            processes[1].kill()
            used, before = Used(processes[2:]), counting.read()[2]
            wait_until(lambda: np.all(used.parts() < 0.3))
            wait_until(lambda: counting.read()[2] > before)
            wait_until(lambda: np.isfinite(throttle.asked[2]))
    assert math.isnan(throttle.realised[0])
    assert throttle.asked[2] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("rank", "factor", "argument"),
    [
        (2, 3, "`rank`=2"),
        (-1, 3, "`rank`=-1"),
        (0, 0.5, "`factor`=0.5"),
        (0, math.nan, "`factor`=nan"),
        (0, math.inf, "`factor`=inf"),
    ],
)
def test_a_slowdown_that_makes_no_sense_is_named(rank, factor, argument):
    own = psutil.Process()
    throttle = Throttle([own, own], place((1, 1), (0,)))
    with pytest.raises(InputError, match=argument):
        throttle.set_slowdown(rank, factor)
