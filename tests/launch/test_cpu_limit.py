"""CPU limits on simulated processes of one core: the clock is the simulation's."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.launch.cpu_limit import MAX_SECONDS, CpuLimit
from hsi_jax.launch.throttle import TICK_SECONDS, TICKS_PER_COUNT

SLICE = TICK_SECONDS / 4  # the fake kernel changes processes so often


class FakeProcess:
    """Works for `work` seconds of CPU time, then waits for `wait` seconds, again and again."""

    def __init__(self, work=math.inf, wait=0.0):
        self.used = self.queued = 0.0
        self.suspensions = 0
        self.suspended = False
        self._work, self._wait = work, wait
        self._left, self._until = work, 0.0

    def used_seconds(self):
        return self.used

    def queued_seconds(self):
        return self.queued

    def suspend(self):
        assert not self.suspended
        self.suspended = True
        self.suspensions += 1

    def resume(self):
        assert self.suspended
        self.suspended = False

    def is_ready(self, now):
        return not self.suspended and now >= self._until

    def run(self, seconds, now):
        self.used += seconds
        self._left -= seconds
        if self._left <= 0:
            self._left, self._until = self._work, now + seconds + self._wait


class FakeCore:
    """Gives its time to those of its processes that are ready, in turn.

    `others` is the number of other busy programs. While `is_taken(now)` holds, another program has
    the core to itself.
    """

    def __init__(self, *processes, others=0, is_taken=lambda now: False):
        self.now = 0.0
        self.processes = processes
        self._is_taken = is_taken
        self._everyone = [*processes, *(FakeProcess() for _ in range(others))]
        self._turn = 0

    def advance(self, seconds):
        for _ in range(round(seconds / SLICE)):
            ready = [process for process in self._everyone if process.is_ready(self.now)]
            chosen = None
            if ready and not self._is_taken(self.now):
                chosen = ready[self._turn % len(ready)]
                self._turn += 1
                chosen.run(SLICE, self.now)
            for process in ready:
                if process is not chosen:
                    process.queued += SLICE
            self.now += SLICE


def hold(core, fractions, seconds, first_ticks=()):
    """Holds a core's processes as the throttle does, for so long; returns their limits."""
    ticks = itertools.chain(first_ticks, itertools.repeat(TICK_SECONDS))
    limits = [CpuLimit(process, lambda: core.now) for process in core.processes]
    end = core.now + seconds
    for number, tick in enumerate(ticks, 1):
        core.advance(tick)
        for limit, fraction in zip(limits, fractions, strict=True):
            limit.hold(fraction, tick)
            if number % TICKS_PER_COUNT == 0:
                limit.count(fraction)
        if core.now >= end:
            break
    return limits


def used(core):
    return np.array([process.used for process in core.processes])


@pytest.mark.parametrize(
    "fractions",
    [(0.25,), (0.05,), (0.8, 0.2), (0.6, 0.3, 0.1), (0.5, 0.25, 0.125, 0.125), (0.3, 0.3, 0.3)],
)
def test_busy_processes_get_their_fractions(fractions):
    core = FakeCore(*(FakeProcess() for _ in fractions))
    limits = hold(core, fractions, 4)
    assert used(core) / core.now == pytest.approx(fractions, rel=0.02)
    assert [limit.asked for limit in limits] == pytest.approx(fractions)
    # They always have work, so the realised fraction is what they used.
    assert [limit.realised for limit in limits] == pytest.approx(used(core) / core.now, rel=0.03)


@pytest.mark.parametrize("others", [1, 3])
def test_other_programs_can_only_make_it_less_and_the_limit_tells(others):
    fractions = (0.8, 0.2)
    core = FakeCore(FakeProcess(), FakeProcess(), others=others)
    limits = hold(core, fractions, 4)
    shares = used(core) / core.now
    assert np.all(shares < 1.03 * np.array(fractions))
    assert shares[0] < 0.75 * fractions[0]  # the others take more than is left
    assert [limit.asked for limit in limits] == pytest.approx(fractions)
    assert [limit.realised for limit in limits] == pytest.approx(shares, rel=0.03)


def test_time_that_another_program_took_is_given_back():
    process = FakeProcess()
    core = FakeCore(process, is_taken=lambda now: now % 0.1 < 0.04)
    hold(core, [0.4], 4)  # less than is left
    assert process.used / core.now == pytest.approx(0.4, rel=0.03)


def test_a_slowdown_comes_and_goes():
    process = FakeProcess()
    core = FakeCore(process)
    limit = CpuLimit(process, lambda: core.now)
    shares = []
    for fraction in (0.5, 0.125, 0.5):
        before, start = process.used, core.now
        for _ in range(1000):
            core.advance(TICK_SECONDS)
            limit.hold(fraction, TICK_SECONDS)
        limit.count(fraction)
        shares.append((process.used - before) / (core.now - start))
    assert shares == pytest.approx([0.5, 0.125, 0.5], rel=0.03)
    assert limit.asked == pytest.approx((0.5 + 0.125 + 0.5) / 3)


def test_waiting_does_not_count_against_the_realised_speed():
    process = FakeProcess(work=0.04, wait=0.1)
    core = FakeCore(process)
    (limit,) = hold(core, [0.25], 4)
    # 40 ms in 160 + 100, so far below its fraction; but while it worked it had that.
    assert process.used / core.now < 0.2
    assert limit.realised == pytest.approx(0.25, rel=0.1)
    assert limit.asked == pytest.approx(0.25)


def test_a_process_that_waits_enough_is_never_suspended():
    # As one that answers messages: work of 0.5 ms, then 4.5 ms until the next one.
    answering = FakeProcess(work=0.0005, wait=0.0045)
    hold(FakeCore(answering), [0.25], 2)
    assert answering.suspensions == 0
    busy = FakeProcess(work=0.0045, wait=0.0005)
    hold(FakeCore(busy), [0.25], 2)
    assert busy.suspensions > 50


def test_a_whole_core_is_never_taken_away():
    process = FakeProcess()
    hold(FakeCore(process, others=1), [1], 1)
    assert process.suspensions == 0


@given(st.lists(st.sampled_from([0.002, 0.003, 0.01, 0.05, 0.2]), min_size=1, max_size=30))
@settings(max_examples=30)
def test_a_launcher_that_is_late_makes_up_for_it(ticks):
    process = FakeProcess()
    core = FakeCore(process)
    hold(core, [0.25], 5, ticks)
    assert process.used <= 0.25 * (core.now + 0.1)
    assert process.used >= 0.25 * (core.now - 0.5)


def test_a_long_pause_of_the_launcher_has_no_long_effect():
    process = FakeProcess()
    core = FakeCore(process)
    limit = CpuLimit(process, lambda: core.now)
    core.advance(60)
    limit.hold(0.25, 60)
    assert process.suspended
    start = core.now
    while process.suspended:
        core.advance(TICK_SECONDS)
        limit.hold(0.25, TICK_SECONDS)
    assert core.now - start == pytest.approx(MAX_SECONDS, abs=2 * TICK_SECONDS)


def test_a_released_process_runs():
    process = FakeProcess()
    core = FakeCore(process)
    (limit,) = hold(core, [0.05], 0.1)
    assert process.suspended
    limit.release()
    assert not process.suspended
    limit.release()  # a second time changes nothing


class Ended(FakeProcess):
    """A process that is no longer there."""

    def used_seconds(self):
        raise ProcessLookupError


def test_a_process_that_has_ended_was_given_nothing():
    limit = CpuLimit(Ended(), lambda: 0.0)
    with pytest.raises(OSError):  # noqa: PT011
        limit.hold(0.5, TICK_SECONDS)
    assert math.isnan(limit.realised)
    assert math.isnan(limit.asked)
