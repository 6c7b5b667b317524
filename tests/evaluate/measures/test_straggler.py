import pytest

from hsi_jax.evaluate.measures.straggler import find_straggler
from hsi_jax.run.summary_devices import TimedStep, TimelineStep

NAMES = ("a", "b", "c")
SHARES = (4, 4, 4)


def timed(*seconds, shares=SHARES):
    """A timed step every ten steps, from step 9 on."""
    return [
        TimedStep(step=9 + 10 * i, device_seconds=list(each), shares=list(shares))
        for i, each in enumerate(seconds)
    ]


def test_the_device_that_cost_most_and_since_when():
    records = timed((1, 1, 1), (1, 4, 2), (1, 3, 1), (1, 1, 1), (1, 2, 1), (2.5, 1, 1))
    found = find_straggler(records, SHARES, NAMES)
    assert (found.device, found.name) == (1, "b")
    # b later than the middle of the others: 4 - 1.5, 3 - 1, 2 - 1.
    assert found.waited_seconds == pytest.approx(2.5 + 2 + 1)
    assert (found.since_step, found.until_step) == (19, 29)
    assert (found.slow_steps, found.timed_steps) == (3, 6)


def test_noise_makes_no_straggler():
    assert find_straggler(timed((1, 1.09, 1), (1.05, 1, 1)), SHARES, NAMES) is None
    assert find_straggler([], SHARES, NAMES) is None


def test_devices_without_work_neither_wait_nor_make_wait():
    assert find_straggler(timed((1, 0.01, 9)), (12, 0, 0), NAMES) is None
    # c waits for a alone, although b would be the middle of all.
    found = find_straggler(timed((3, 0.01, 1)), (6, 0, 6), NAMES)
    assert (found.device, found.waited_seconds) == (0, pytest.approx(2))


def test_shares_of_a_timed_step_are_those_that_the_step_before_chose():
    records = timed((1, 1, 1), (1, 1, 9), shares=(6, 6, 0))
    assert find_straggler(records, SHARES, NAMES) is None


@pytest.mark.parametrize("phase", ["reading", "computing", "update"])
def test_the_phase_in_which_a_device_loses_its_time_is_named(phase):
    times = {"reading": [0.1] * 3, "computing": [1.0] * 3, "update": [0.2] * 3}
    times[phase][1] += 2
    # The sum lasts as long for all; who came first has waited.
    phases = times | {"sum": [9.0] * 3, "waiting": [2.0, 0, 2.0]}
    records = timed(times["computing"], times["computing"])
    timeline = [
        TimelineStep(step=r.step, began=[0] * 3, worked=[1] * 3, ended=[9] * 3, phases=phases)
        for r in records
    ]
    found = find_straggler(records, SHARES, NAMES, timeline)
    assert (found.name, found.phase) == ("b", phase)
    assert found.phase_seconds == found.waited_seconds == pytest.approx(4)
