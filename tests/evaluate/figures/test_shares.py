from dataclasses import replace

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.shares import draw_shares
from hsi_jax.run.summary_devices import TimedStep

EVEN_TIMES = (1.0, 2.0, 4.0, np.inf)


def bars(container):
    return [(bar.get_x(), bar.get_width()) for bar in container]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_bars_are_shares_and_say_their_weight(summary, render):
    figure = draw_shares(summary)
    render(figure)
    left = figure.axes[0]
    assert bars(left.containers[0]) == [(0, 9), (0, 4), (0, 2), (0, 0)]
    assert [bar.get_y() + bar.get_height() / 2 for bar in left.containers[0]] == [0, 1, 2, 3]
    assert texts(left) == [
        "9 (60.0%), weight 0.6",
        "4 (26.7%), weight 0.2667",
        "2 (13.3%), weight 0.1333",
        "0 (0.0%), weight 0",
    ]
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "cpu:0\nspeed 4",
        "cpu:1\nspeed 2",
        "cpu:2\nspeed 1",
        "cpu:3\nspeed 0",
    ]
    bottom, top = left.get_ylim()
    assert bottom > top  # the first device stands on top
    assert left.get_title() == "Share of each device, scheme balanced"


def test_busy_and_waiting_times_fill_the_step(summary, render):
    figure = draw_shares(summary)
    render(figure)
    right = figure.axes[1]
    busy, waiting = right.containers
    assert bars(busy) == [(0, 2.25), (0, 2.0), (0, 2.5)]
    assert bars(waiting) == [(2.25, 0.25), (2.0, 0.5), (2.5, 0.0)]
    assert all(bar.get_hatch() for bar in waiting)
    assert not any(bar.get_hatch() for bar in busy)
    assert sorted(texts(right)) == [" takes no part", "2", "2.25", "2.5"]
    (note,) = (text for text in right.texts if "part" in text.get_text())
    assert note.get_position() == (0, 3)


def test_even_shares_stand_beside_with_a_slowest_of_their_own(summary, render):
    figure = draw_shares(replace(summary, modelled_device_times_even=EVEN_TIMES))
    render(figure)
    busy, _, even_busy, even_waiting = figure.axes[1].containers
    assert bars(even_busy) == [(0, 1), (0, 2), (0, 4)]
    assert bars(even_waiting) == [(1, 3), (2, 2), (4, 0)]
    for upper, lower in zip(busy, even_busy, strict=True):
        assert upper.get_y() + upper.get_height() <= lower.get_y()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "busy, balanced",
        "waiting for the slowest, balanced",
        "busy, even shares",
        "waiting for the slowest, even shares",
    ]


def test_times_are_called_modelled_with_their_unit(summary):
    right = draw_shares(summary).axes[1]
    assert right.get_title() == "Modelled time of a step"
    assert right.get_xlabel() == "modelled time (ms)"


@pytest.mark.parametrize("number", [1, 2, 16])
def test_any_number_of_devices_fits(number, summary, render):
    shares = np.arange(number) * 1000 + 1
    many = replace(
        summary,
        device_names=tuple(f"NVIDIA H200 #{device}" for device in range(number)),
        speeds=tuple(shares * 1.2345678),
        shares=tuple(shares.tolist()),
        weights=tuple(shares / shares.sum()),
        modelled_device_times=(123.45678,) * number,
        scheme="adaptive",
        modelled_time_unit="model units",
        modelled_device_times_even=tuple(1e4 / shares),
    )
    figure = draw_shares(many)
    render(figure)
    for axes in figure.axes:
        frame = axes.get_window_extent()
        assert all(text.get_window_extent().x1 < frame.x1 for text in axes.texts)


@pytest.mark.parametrize("time", [0.0, np.inf])
def test_no_work_at_all_renders(time, summary, render):
    none = {"speeds": (0,), "shares": (0,), "weights": (0,), "modelled_device_times": (time,)}
    figure = draw_shares(replace(summary, device_names=("a",), **none))
    render(figure)
    assert texts(figure.axes[1]) == (["0"] if time == 0 else [" takes no part"])


@pytest.mark.parametrize(
    "key",
    ["speeds", "shares", "weights", "modelled_device_times", "modelled_device_times_even"],
)
def test_lists_of_another_length_negative_or_nan_are_refused(key, summary):
    summary = replace(summary, modelled_device_times_even=EVEN_TIMES)
    for number in (3, 5):
        with pytest.raises(InputError, match=f"{number} .*`{key}`.* 4 "):
            draw_shares(replace(summary, **{key: (1.0,) * number}))
    for bad in (-1, np.nan):
        with pytest.raises(InputError, match=f"{bad} .*`{key}`"):
            draw_shares(replace(summary, **{key: (1, 1, 1, bad)}))


def test_no_device_is_refused(summary):
    none = {"speeds": (), "shares": (), "weights": (), "modelled_device_times": ()}
    with pytest.raises(InputError, match="`speeds` for 0"):
        draw_shares(replace(summary, device_names=(), **none))


def test_the_history_shows_shares_and_measured_times(summary, render):
    two = replace(
        summary,
        device_names=("a", "b"),
        speeds=(1, 1),
        shares=(6, 2),
        weights=(0.75, 0.25),
        modelled_device_times=(0.1, 0.1),
        rebalancing=[
            TimedStep(step=19, device_seconds=[0.02, 0.03], shares=[4, 4]),
            TimedStep(step=39, device_seconds=[0.02, 0.09], shares=[6, 2]),
        ],
    )
    figure = draw_shares(two)
    render(figure)
    _, _, shares, times = figure.axes
    points = [np.asarray(line.get_xydata()).tolist() for line in shares.get_lines()]
    assert points == [[[19, 4], [39, 6]], [[19, 4], [39, 2]]]
    measured = np.array([line.get_ydata() for line in times.get_lines()], float)
    np.testing.assert_allclose(measured, [[20, 20], [30, 90]])
    assert "Measured" in times.get_title()
