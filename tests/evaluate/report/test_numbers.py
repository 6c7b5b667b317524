"""The numbers behind the page: intervals, maps, charts and times of the devices."""

import base64
import dataclasses
import io
import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import hex_colours
from hsi_jax.evaluate.report import maps as report_maps
from hsi_jax.evaluate.report.classes import class_rows, measure, overall
from hsi_jax.evaluate.report.comparing import compare_maps
from hsi_jax.evaluate.report.devices import device_rows, measured_parts
from hsi_jax.evaluate.report.maps import make_maps
from hsi_jax.evaluate.run_files import read_run


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


def test_each_class_has_its_measures(summary_of):
    summary = summary_of(("a", "b", "c"))
    matrix = np.array(summary.confusion_matrix)
    assert overall(summary).value == np.trace(matrix) / matrix.sum()
    rows = class_rows(summary, ("a", "b", "c"), hex_colours(3))
    for k, row in enumerate(rows):
        right, true, predicted = matrix[k, k], matrix[k].sum(), matrix[:, k].sum()
        assert (row.accuracy.correct, row.accuracy.total) == (right, true)
        assert row.users_accuracy == right / predicted
        assert row.f1 == pytest.approx(2 / (true / right + predicted / right))
        assert row.iou == right / (true + predicted - right)


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


def test_devices_have_their_part_and_their_modelled_times(summary_of):
    rows = device_rows(summary_of(shares=(9, 4, 2, 1)))
    assert [row.part for row in rows] == [9 / 16, 4 / 16, 2 / 16, 1 / 16]
    assert (rows[0].modelled, rows[0].modelled_even) == (2.25, 1.0)
    assert device_rows(summary_of(shares=(9, 4, 2))) == ()


def test_measured_parts_sum_to_the_step(make_run):
    run = read_run(make_run())
    parts = measured_parts(run)
    assert [name for name, *_ in parts] == ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]
    # Of two steps of 4 s: cpu:1 works from 0.1 to 2 s and is the last.
    assert parts[1][1:] == (pytest.approx(1.9 / 4), 0, pytest.approx(2.1 / 4))
    timeline = [dataclasses.replace(run.summary.timeline[0], began=[0.0])]
    damaged = dataclasses.replace(run.summary, timeline=[*run.summary.timeline, *timeline])
    with pytest.raises(InputError, match="timed steps"):
        measured_parts(dataclasses.replace(run, summary=damaged))


def run_with(path, **arrays):
    return dataclasses.replace(read_run(path), prediction=arrays)


def test_two_maps_are_counted_against_each_other(make_run, maps):
    path = make_run()
    other = np.roll(maps["prediction"], 1, axis=0)
    runs = [run_with(path, **maps), run_with(path, **maps | {"prediction": other})]
    (pair,) = compare_maps(runs)
    names, colours, counts = zip(*pair.kinds, strict=True)
    expected = dict.fromkeys(names, 0)
    picture = np.array(Image.open(io.BytesIO(base64.b64decode(pair.picture.partition(",")[2]))))
    for place in np.ndindex(maps["truth"].shape):
        truth, one, two = maps["truth"][place], maps["prediction"][place], other[place]
        kind = None if one == two else names[4]
        if maps["test"][place]:
            kind = names[(one != truth) * 2 + (two != truth)]
        expected[kind] = expected.get(kind, 0) + 1
        shown = picture[place].tolist()
        wanted = [*bytes.fromhex(colours[names.index(kind)][1:]), 255] if kind else [0, 0, 0, 0]
        assert shown == wanted
    expected.pop(None, None)
    assert dict(zip(names, counts, strict=True)) == expected
    assert min(counts[:4]) > 0


def test_maps_of_other_scenes_are_not_compared(make_run, maps):
    path = make_run()
    other = maps | {"truth": np.roll(maps["truth"], 1)}
    assert compare_maps([run_with(path, **maps), run_with(path, **other)]) == []
    assert compare_maps([run_with(path, **maps)]) == []
