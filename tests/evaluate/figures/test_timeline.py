from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.timeline import draw_timeline
from hsi_jax.evaluate.measures.utilisation import utilisation
from hsi_jax.run.summary_devices import TimelineStep

# Device 1 begins 1 s later, works 3 s of the step's 10; device 0 works 6 and is the slowest.
STEP = TimelineStep(step=4, began=[0.0, 1.0], worked=[6.0, 4.0], ended=[9.0, 10.0])


def test_a_step_is_divided_by_what_each_device_did():
    parts = utilisation([STEP])
    assert parts.busy == pytest.approx([0.6, 0.3])
    assert parts.waiting == pytest.approx([0.0, 0.2])
    assert parts.communication == pytest.approx([0.4, 0.5])


def test_long_steps_count_more():
    short = TimelineStep(step=5, began=[20.0, 20.0], worked=[20.0, 20.0], ended=[30.0, 30.0])
    assert utilisation([STEP, short]).busy == pytest.approx([0.3, 0.15])


@given(
    st.lists(
        st.lists(st.tuples(*[st.floats(0.01, 10)] * 3), min_size=3, max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_fractions_are_none_below_0_and_sum_to_1(durations):
    timeline = []
    for step, rows in enumerate(durations):
        began, worked, ended = np.cumsum(rows, axis=1).T
        ended = np.maximum(ended, worked.max())  # nobody ends before the slowest has worked
        times = {"began": began.tolist(), "worked": worked.tolist(), "ended": ended.tolist()}
        timeline.append(TimelineStep(step=step, **times))
    parts = utilisation(timeline)
    table = np.array([parts.busy, parts.waiting, parts.communication])
    assert (table >= -1e-12).all()
    assert table.sum(axis=0) == pytest.approx([1, 1, 1])


def test_no_timed_step_is_refused():
    with pytest.raises(InputError, match="no timed step"):
        utilisation([])
    with pytest.raises(InputError, match="no timed step"):
        draw_timeline([], [], "")


def test_the_last_steps_are_drawn_at_their_times():
    steps = [replace(STEP, step=number) for number in range(5)]
    figure = draw_timeline(steps, ["a", "b"], "title", steps=3)
    assert [axes.get_title() for axes in figure.axes] == ["step 2", "step 3", "step 4"]
    patches = figure.axes[0].patches
    bars = [(bar.get_x(), bar.get_width()) for bar in patches if isinstance(bar, Rectangle)]
    assert bars == [
        *[(0, 6000), (1000, 3000)],  # own work
        *[(6000, 0), (4000, 2000)],  # waiting
        *[(6000, 3000), (6000, 4000)],  # communication
    ]
