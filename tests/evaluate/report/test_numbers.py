"""The numbers behind the page: intervals, maps, charts and times of the devices."""

import base64
import io
import json
import math
import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hsi_jax.evaluate.figures.palette import hex_colours
from hsi_jax.evaluate.report import maps as report_maps
from hsi_jax.evaluate.report.chart import Series, draw_chart
from hsi_jax.evaluate.report.classes import confusion_cells, measure, overall
from hsi_jax.evaluate.report.devices import device_rows, measured_steps
from hsi_jax.evaluate.report.maps import make_maps
from hsi_jax.evaluate.report.reading import read_run


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_that_of_wilson(counts):
    correct, total = counts
    p, z = correct / total, 1.959963984540054
    middle = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    accuracy = measure(correct, total)
    assert accuracy.value == p
    assert accuracy.low == pytest.approx(max(middle - half, 0), abs=1e-9)
    assert accuracy.high == pytest.approx(min(middle + half, 1), abs=1e-9)


def test_without_samples_there_is_no_accuracy():
    assert measure(0, 0) is None


def test_overall_accuracy_and_shades(summary_of):
    summary = summary_of(("a", "b", "c"))
    matrix = np.array(summary.confusion_matrix)
    assert overall(summary).value == np.trace(matrix) / matrix.sum()
    cells = confusion_cells(summary)
    assert [[cell.count for cell in row] for row in cells] == matrix.tolist()
    assert all(sum(cell.fraction for cell in row) == pytest.approx(1) for row in cells)
    shades = sorted((cell.fraction, cell.shade) for row in cells for cell in row)
    assert [s for _, s in shades] == sorted(s for _, s in shades)


def unpack(made):
    raw = zlib.decompress(base64.b64decode(made.packed))
    return np.frombuffer(raw, "<u2").reshape(3, made.rows, made.columns)


def test_the_packed_maps_are_those_of_the_run(make_run, maps):
    made = make_maps(read_run(make_run()))
    truth, prediction, sets = unpack(made)
    assert np.array_equal(truth, maps["truth"])
    assert np.array_equal(prediction, maps["prediction"])
    for number, name in enumerate(("train", "validation", "test"), 1):
        assert np.array_equal(sets == number, maps[name])
    content = base64.b64decode(made.layers[0].picture.partition(",")[2])
    picture = np.array(Image.open(io.BytesIO(content)))
    colours = np.array([[0, 0, 0, 0], *([*bytes.fromhex(c[1:]), 255] for c in hex_colours(3))])
    assert np.array_equal(picture, colours[maps["truth"]])


def test_a_large_map_is_thinned(make_run, maps, monkeypatch):
    monkeypatch.setattr(report_maps, "MAX_SIDE", 8)
    made = make_maps(read_run(make_run()))
    assert (made.every, made.rows, made.columns) == (3, 4, 7)
    assert np.array_equal(unpack(made)[0], maps["truth"][::3, ::3])


def places(path):
    return [tuple(map(float, place.split())) for place in re.split("[ML]", path) if place]


def test_a_line_goes_through_its_values():
    y = np.array([0.0, 5.0, math.nan, 10.0])
    chart = draw_chart("t", [Series("a", np.arange(4.0), y)], x_label="x", y_label="y")
    (line,) = chart.drawn
    assert places(line.path) == [(0, 100), (33.33, 50), (100, 0)]
    assert line.path.count("M") == 2  # a gap where it is not finite
    assert (0.0, "10") in chart.y_ticks
    assert (100.0, "0") in chart.y_ticks
    assert json.loads(chart.reading)["series"][0]["y"] == [0, 5, None, 10]


def test_many_decades_are_drawn_logarithmically():
    y = np.array([1e-3, 1.0, 1e3])
    chart = draw_chart("t", [Series("a", np.arange(3.0), y)], x_label="x", y_label="y")
    assert places(chart.drawn[0].path) == [(0, 100), (50, 50), (100, 0)]
    assert "logarithmic" in chart.y_label


def test_a_long_line_becomes_means():
    y = np.tile([1.0, 3.0], 3000)
    chart = draw_chart("t", [Series("a", np.arange(6000.0), y)], x_label="x", y_label="y")
    (series,) = json.loads(chart.reading)["series"]
    assert set(series["y"]) == {2.0}
    assert len(series["y"]) == 600
    assert "means of 10" in series["name"]


def test_nothing_finite_gives_no_chart():
    empty = Series("a", np.arange(2.0), np.full(2, math.nan))
    assert draw_chart("t", [empty], x_label="x", y_label="y") is None


def test_devices_work_and_wait_as_long_as_modelled(summary_of):
    rows = device_rows(summary_of(shares=(9, 4, 2, 1)))
    assert [row.part for row in rows] == [9 / 16, 4 / 16, 2 / 16, 1 / 16]
    busy, waiting = rows[0].modelled.bars  # 2.25 of 2.5; the longest time of all is 4
    assert (busy.left, busy.width) == (0, pytest.approx(100 * 2.25 / 4))
    assert waiting.width == pytest.approx(100 * 0.25 / 4)
    assert rows[0].modelled_even.time == 1.0


def test_the_measured_bars_fill_the_step(summary_of):
    step = measured_steps(summary_of())[0]
    assert step.milliseconds == 4000
    name, bars = step.rows[1]
    assert name == "cpu:1"
    assert [(b.kind, b.left, b.width) for b in bars] == [
        ("busy", pytest.approx(2.5), pytest.approx(47.5)),
        ("waiting", 50, 0),
        ("communication", 50, 50),
    ]
