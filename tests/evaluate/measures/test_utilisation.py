import pytest

from hsi_jax.evaluate.measures.utilisation import measure_step
from hsi_jax.run.summary_devices import TimelineStep


def step(number, *worked, began=0.0, ended=1.0):
    count = len(worked)
    return TimelineStep(
        step=number, began=[began] * count, worked=list(worked), ended=[ended] * count
    )


def test_the_parts_of_a_step_are_medians_of_the_timed_steps():
    timeline = [
        step(3, 0.2, 0.6),
        step(7, 0.3, 0.5),
        step(9, 9.0, 0.4, ended=20.0),  # a hiccup
    ]
    measured = measure_step(timeline, ["a", "b"])
    assert measured.names == ("a", "b")
    assert measured.own_work_ms == pytest.approx((300, 500))
    assert measured.waiting_ms == pytest.approx((200, 0))
    assert measured.sum_and_update_ms == pytest.approx(500)  # of 400, 500 and 11000
    assert (measured.step_ms, measured.timed_steps) == (pytest.approx(1000), 3)


def test_processes_with_several_devices_are_numbered():
    assert measure_step([step(0, 0.5)], ["a", "b"]).names == ("process 0",)


def test_without_timed_steps_nothing_was_measured():
    assert measure_step([], ["a"]) is None
