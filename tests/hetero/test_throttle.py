import math
import os
import sys
import time
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from hsi_jax.errors import InputError
from hsi_jax.hetero.placement import Placement, place
from hsi_jax.hetero.throttle import Throttle, limits
from hsi_jax.hetero.workers import Worker, Workers, available_cores

CORES = available_cores() if sys.platform == "linux" else []

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

    def count_for(self, seconds):
        """How far each comes in that time."""
        before = self.read()
        time.sleep(seconds)
        return self.read() - before

    def ratios(self, expected):
        """Work of each as a multiple of the last one's; a busy machine gets three attempts."""
        for _ in range(3):
            counts = self.count_for(1)
            if within(counts / counts[-1], expected):
                break
        return counts / counts[-1]


def within(ratios, expected):
    """As generous as a machine shared with others demands: 4:1 may be 2.8:1 to 5.6:1."""
    return np.all((ratios > np.multiply(expected, 0.7)) & (ratios < np.multiply(expected, 1.4)))


def core_time(processes):
    """Seconds of CPU that each process has used."""
    return np.array([sum(process.cpu_times()[:2]) for process in processes])


@pytest.fixture
def throttled(tmp_path):
    """Starts workers that count, one for each placement, and throttles them."""

    @contextmanager
    def start(placements):
        counting = Counting(tmp_path, placements)
        with Workers(counting.workers()) as workers:
            deadline = time.monotonic() + 10
            while not counting.read().all():
                assert not workers.poll()
                assert time.monotonic() < deadline
                time.sleep(0.02)
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
def test_work_is_in_proportion_to_speeds(throttled, speeds, num_cores):
    placements = place(speeds, CORES[:num_cores])
    with throttled(placements) as (counting, throttle, processes):
        before, start = core_time(processes), time.monotonic()
        ratios = counting.ratios(speeds)
        used = (core_time(processes) - before) / (time.monotonic() - start)
    fractions = np.array([placement.fraction for placement in placements])
    assert throttle.asked == pytest.approx(fractions)
    # Other programs can only make it less.
    assert np.all(used < 1.1 * fractions), used
    # They always have work, so it is what they used.
    tells_it = throttle.realised == pytest.approx(used, rel=0.25)
    # The fastest one's core is never idle, unless others keep these processes from it.
    left = sum(u for u, p in zip(used, placements, strict=True) if p.core == CORES[0])
    if left < 0.85 and not (tells_it and within(ratios, speeds)):
        pytest.skip(f"other programs left only {left:.0%} of core {CORES[0]} to the test")
    assert tells_it, (throttle.realised, used)
    assert within(ratios, speeds), ratios


@needs_linux
def test_a_slowdown_comes_and_goes(throttled):
    with throttled(place((1, 1), CORES[:1])) as (_, throttle, processes):
        used = []
        for factor in (4, 1):
            throttle.set_slowdown(0, factor)
            time.sleep(0.2)
            before = core_time(processes)
            time.sleep(1)
            used.append(core_time(processes) - before)
    (slow, beside), (recovered, _) = used
    assert slow < 0.2
    # It takes nothing from its neighbour, and gives it nothing: three eighths stay idle.
    assert beside < 0.6
    assert recovered > 1.5 * slow
    assert 0.15 < throttle.asked[0] < 0.45
    assert throttle.asked[1] == pytest.approx(0.5)


# Uses 40 ms of CPU time and then waits 100 ms, again and again.
WORK_AND_WAIT = """
import time
while True:
    end = time.process_time() + 0.04
    while time.process_time() < end:
        pass
    time.sleep(0.1)
"""


@needs_linux
def test_waiting_does_not_count_against_the_realised_speed(tmp_path):
    placements = [Placement(CORES[0], 0.25)]
    command = (sys.executable, "-S", "-c", WORK_AND_WAIT)
    with Workers([Worker(command, {}, CORES[0], tmp_path / "log")]) as workers:
        time.sleep(0.2)
        with Throttle(workers.processes, placements) as throttle:
            before = core_time(workers.processes)
            time.sleep(2)
            (used,) = (core_time(workers.processes) - before) / 2
    # 40 ms in 160 + 100, so far below its fraction; but while it worked it had that.
    assert used < 0.2
    assert 0.7 * 0.25 < throttle.realised[0] < 1.4 * 0.25
    assert throttle.asked == [pytest.approx(0.25)]


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
def test_processes_that_wait_for_each_other_answer_at_once(tmp_path):
    pipes = [str(tmp_path / "there"), str(tmp_path / "back")]
    for pipe in pipes:
        os.mkfifo(pipe)
    placements = [Placement(CORES[0], 0.25), Placement(CORES[0], 0.125)]
    workers = [
        Worker((sys.executable, "-S", "-c", program, *pipes), {}, CORES[0], tmp_path / name)
        for name, program in (("throw", THROW_AND_CATCH), ("catch", CATCH_AND_THROW))
    ]
    with Workers(workers) as two, Throttle(two.processes, placements):
        start = time.monotonic()
        two.wait()
    # With turns in a period of 20 ms, each to and fro would take a period: 10 s.
    assert time.monotonic() - start < 4


@needs_linux
def test_a_process_with_a_core_of_its_own_is_never_suspended(throttled):
    with throttled([Placement(CORES[0], 1.0)]) as (_, _, processes):
        seen = {processes[0].status() for _ in range(2000)}
    assert psutil.STATUS_STOPPED not in seen


@needs_linux
def test_processes_run_freely_afterwards(throttled, tmp_path):
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
            time.sleep(0.5)
            before = core_time(processes[2:])
            time.sleep(1)
            (used,) = core_time(processes[2:]) - before
    assert 0 < used < 0.3
    assert math.isnan(throttle.realised[0])
    assert throttle.asked[2] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("rank", "factor", "message"),
    [
        (2, 3, "no rank 2 to slow down; give 0 to 1"),
        (-1, 3, "no rank -1"),
        (0, 0.5, "slowdown 0.5 of rank 0; give a factor >= 1"),
        (0, math.nan, "slowdown nan"),
        (0, math.inf, "slowdown inf"),
    ],
)
def test_a_slowdown_that_makes_no_sense_is_named(rank, factor, message):
    own = psutil.Process()
    throttle = Throttle([own, own], place((1, 1), (0,)))
    with pytest.raises(InputError, match=message):
        throttle.set_slowdown(rank, factor)
