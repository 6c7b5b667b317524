import math
import sys
import time
from collections import defaultdict
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.errors import InputError
from hsi_jax.hetero.throttle import Placement, Throttle, place, timetable
from hsi_jax.hetero.workers import Worker, Workers, available_cores

CORES = available_cores() if sys.platform == "linux" else []

needs_linux = pytest.mark.skipif(not CORES, reason="processes are pinned on Linux only")
needs_two_cores = pytest.mark.skipif(
    len(CORES) < 2, reason=f"needs 2 CPUs, and only {len(CORES)} may be used"
)

speeds_of_processes = st.lists(st.floats(0.01, 100), min_size=1, max_size=8)
numbers_of_cores = st.lists(st.integers(0, 63), min_size=1, max_size=6, unique=True)


def loads(placements):
    """The sum of fractions on each core that is used."""
    sums = defaultdict(float)
    for placement in placements:
        sums[placement.core] += placement.fraction
    return sums


@given(speeds_of_processes, numbers_of_cores)
def test_fractions_are_proportional_and_fit(speeds, cores):
    placements = place(speeds, cores)
    fractions = [placement.fraction for placement in placements]
    assert [f / max(fractions) for f in fractions] == pytest.approx(
        [speed / max(speeds) for speed in speeds]
    )
    assert set(loads(placements)) <= set(cores)
    assert max(loads(placements).values()) <= 1 + 1e-8


@given(speeds_of_processes, numbers_of_cores)
def test_no_core_time_is_wasted(speeds, cores):
    placements = place(speeds, cores)
    # Either the fastest has a whole core, or the fullest core is full.
    assert max(loads(placements).values()) == pytest.approx(1)
    # Any first-fit packing with a capacity of 2 - 1/cores times the optimum succeeds.
    least_scale = min(1.0, len(cores) / sum(speed / max(speeds) for speed in speeds))
    assert max(p.fraction for p in placements) >= least_scale / 2


@given(speeds_of_processes)
def test_the_fastest_has_a_whole_core_where_there_is_one_for_each(speeds):
    placements = place(speeds, range(len(speeds)))
    assert max(placement.fraction for placement in placements) == pytest.approx(1)


@pytest.mark.parametrize(
    ("speeds", "cores", "expected"),
    [
        ((2, 1, 1), (0, 1), [(0, 1), (1, 0.5), (1, 0.5)]),
        ((1, 1, 2), (3, 7), [(7, 0.5), (7, 0.5), (3, 1)]),
        ((2, 1, 1), (4,), [(4, 0.5), (4, 0.25), (4, 0.25)]),
        ((8, 4, 2, 1, 1), (0, 1), [(0, 1), (1, 0.5), (1, 0.25), (1, 0.125), (1, 0.125)]),
        ((1, 1, 1), (0, 1), [(0, 0.5), (0, 0.5), (1, 0.5)]),
        ((3, 1, 1, 1), (0, 1), [(0, 1), (1, 1 / 3), (1, 1 / 3), (1, 1 / 3)]),
        ((5,), (2, 3), [(2, 1)]),
        # Largest load first would leave 7/6 on one core: first fit finds 3 + 3 and 2 + 2 + 2.
        ((6, 3, 3, 2, 2, 2), (0, 1, 2), [(0, 1), (1, 0.5), (1, 0.5), *[(2, 1 / 3)] * 3]),
    ],
)
def test_placements_worked_by_hand(speeds, cores, expected):
    placements = place(speeds, cores)
    assert [placement.core for placement in placements] == [core for core, _ in expected]
    assert [p.fraction for p in placements] == pytest.approx([f for _, f in expected])


@pytest.mark.parametrize(
    ("speeds", "cores", "message"),
    [
        ((1, 0), (0,), "speed 0 cannot be placed"),
        ((1, -2), (0,), "speed -2 cannot"),
        ((1, math.nan), (0,), "speed nan cannot"),
        ((1, math.inf), (0,), "speed inf cannot"),
        ((), (0,), "0 processes on 1 cores"),
        ((1,), (), "1 processes on 0 cores"),
    ],
)
def test_what_cannot_be_placed_is_named(speeds, cores, message):
    with pytest.raises(InputError, match=message):
        place(speeds, cores)


def running_times(placements, owed, periods=1):
    """Replays a timetable: the part of all periods in which each runs, and runs alone."""
    switches = timetable(placements, owed)
    runs, last = [False] * len(placements), 0.0
    total, alone = [0.0] * len(placements), [0.0] * len(placements)
    # The first period is for what runs on from the one before.
    for period in range(periods + 1):
        for offset, on, rank in [*switches, (1.0, None, None)]:
            now = period + offset
            for other, placement in enumerate(placements):
                peers = [p for p, on in zip(placements, runs, strict=True) if on]
                if period and runs[other]:
                    total[other] += now - last
                    alone[other] += (now - last) * (
                        sum(p.core == placement.core for p in peers) < 2
                    )
            if rank is not None:
                runs[rank] = on
            last = now
    return total, alone


@given(speeds_of_processes, numbers_of_cores)
def test_a_timetable_gives_each_its_fraction_alone(speeds, cores):
    placements = place(speeds, cores)
    total, alone = running_times(placements, [0.0] * len(speeds))
    for rank, placement in enumerate(placements):
        sharing = [p.fraction for p in placements if p.core == placement.core]
        if max(sharing) == pytest.approx(min(sharing)) and sum(sharing) == pytest.approx(1):
            assert total[rank] == 1
            continue
        assert total[rank] == pytest.approx(placement.fraction, abs=1e-8)
        assert alone[rank] == pytest.approx(total[rank])


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.5), (1 / 3, 1 / 3, 1 / 3)])
def test_processes_that_fill_a_core_evenly_are_left_to_the_kernel(fractions):
    placements = [Placement(0, fraction) for fraction in fractions]
    assert all(runs for _, runs, _ in timetable(placements, [0.0] * len(fractions)))


def test_what_is_owed_is_given_back():
    placements = [Placement(0, 0.25), Placement(0, 0.25), Placement(1, 0.5)]
    total, _ = running_times(placements, [0.125, -0.125, 0.25])
    assert total == [0.375, 0.125, 0.75]
    # Too much is taken back to the last: it does not run at all.
    total, _ = running_times(placements, [0.0, -0.25, 3.0])
    assert total == [0.25, 0.0, 1.0]


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
    fractions = [placement.fraction for placement in placements]
    assert throttle.asked == pytest.approx(fractions)
    assert throttle.realised == pytest.approx(fractions, rel=0.2)
    # The fastest one's core is never idle, unless others keep these processes from it.
    left = sum(u for u, p in zip(used, placements, strict=True) if p.core == CORES[0])
    if not within(ratios, speeds) and left < 0.8:
        pytest.skip(f"other programs left only {left:.0%} of core {CORES[0]} to the test")
    assert within(ratios, speeds), ratios


@needs_linux
def test_a_slowdown_comes_and_goes(throttled):
    with throttled(place((1, 1), CORES[:1])) as (counting, throttle, _):
        throttle.set_slowdown(0, 3)
        slow = counting.ratios((1 / 3, 1))
        throttle.set_slowdown(0, 1)
        recovered = counting.ratios((1, 1))
    assert within(slow, (1 / 3, 1)), slow
    assert within(recovered, (1, 1)), recovered
    assert 1 / 6 < throttle.asked[0] < 1 / 2
    assert throttle.asked[1] == pytest.approx(1 / 2)
    assert throttle.realised == pytest.approx(throttle.asked, rel=0.2)


@needs_linux
def test_a_slowdown_takes_nothing_from_a_process_beside_it(throttled):
    with throttled(place((1, 1), CORES[:1])) as (_, throttle, processes):
        throttle.set_slowdown(0, 4)
        time.sleep(0.2)
        before = core_time(processes)
        time.sleep(1)
        used = core_time(processes) - before
    # A core is left idle for three eighths of the time.
    assert used[0] < 0.25
    assert used[1] < 0.65


@needs_linux
def test_a_process_with_a_core_of_its_own_is_never_suspended(throttled):
    with throttled([Placement(CORES[0], 1.0)]) as (_, throttle, processes):
        seen = {processes[0].status() for _ in range(2000)}
    assert psutil.STATUS_STOPPED not in seen
    assert throttle.realised == [pytest.approx(1)]


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
        with Throttle(processes, placements):
            processes[1].kill()
            time.sleep(0.5)
            counts = counting.count_for(1)
    assert counts[1] == 0
    assert counts[2] > 0
    # Rank 2 is still held to its fraction, beside a process that nothing holds.
    assert counts[2] < 0.6 * counts[0]


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
