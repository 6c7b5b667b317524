import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.differences import against, draw_differences
from hsi_jax.evaluate.figures.guards import draw_guards
from hsi_jax.evaluate.measures.paired import PairedTest
from hsi_jax.evaluate.tables.guard_table import csv_of_points, guard_points
from hsi_jax.evaluate.tables.model_table import ModelResult

TESTS = [
    PairedTest("a", "best", {0: -0.02, 1: -0.04}, (-0.05, -0.01), 0.01, 0.02),
    PairedTest("a", "c", {0: 0.5}),
    PairedTest("best", "c", {0: 0.1, 1: 0.3}, reason="too few seeds: 2 of 5"),
]


def test_differences_are_turned_towards_the_best():
    first, second = against(TESTS, "best")
    assert first == TESTS[0]
    assert (second.first, second.second) == ("c", "best")
    assert second.differences == {0: -0.1, 1: -0.3}
    (turned,) = against(TESTS[:1], "a")
    assert turned.interval == (0.01, 0.05)


def test_the_picture_has_dots_means_and_intervals(render):
    figure = draw_differences({"x": ("best", TESTS), "y": ("best", TESTS[:1])})
    render(figure)
    axes = figure.axes[0]
    means = [
        float(np.ravel(line.get_xdata())[0]) for line in axes.lines if line.get_marker() == "D"
    ]
    assert means == pytest.approx([-3, -20])
    ((low, high),) = [c.get_segments()[0][:, 0] for c in axes.collections]
    assert (low, high) == pytest.approx((-5, -1))
    assert [text.get_text() for text in axes.texts] == ["too few seeds: 2 of 5"]
    with pytest.raises(InputError, match="nothing to draw"):
        draw_differences({"x": ("a", [PairedTest("a", "b", {})])})


def guard_result(guard, model, seed, oa, size):
    leaks = 0.0 if guard >= size // 2 else 0.75
    return ModelResult(f"guard{guard}", model, seed, oa, leakage=leaks, patch_size=size)


POINTS = guard_points(
    {
        0: [guard_result(0, "svm", s, 0.8 + s / 10, 1) for s in (0, 1)]
        + [guard_result(0, "net", 0, 0.9, 5)],
        4: [guard_result(4, "svm", s, 0.7 + s / 20, 1) for s in (0, 1)]
        + [guard_result(4, "net", s, 0.6, 5) for s in (0, 1)],
    }
)


def test_points_tell_the_change_of_each_seed():
    assert [(p.model, p.guard, p.leakage) for p in POINTS] == [
        *(("svm", 0, 0.0), ("svm", 4, 0.0)),
        *(("net", 0, 0.75), ("net", 4, 0.0)),
    ]
    assert POINTS[1].change == pytest.approx({0: -0.1, 1: -0.15})
    assert POINTS[3].change == pytest.approx({0: -0.3})
    assert len(csv_of_points(POINTS).splitlines()) == 8


def test_points_are_drawn_with_their_deviation(render):
    figure = draw_guards(POINTS, "title")
    render(figure)
    svm = figure.axes[0].containers[0]
    np.testing.assert_allclose(np.asarray(svm[0].get_ydata(), float), [85, 72.5])
    (bars,) = svm[2]
    heights = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(heights, 2 * 100 * np.std([[0.8, 0.9], [0.7, 0.75]], axis=1, ddof=1))
