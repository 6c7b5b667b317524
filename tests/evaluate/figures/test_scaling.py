import math

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.scaling import draw_scaling


def row(devices, gain, **more):
    return {
        "devices": devices,
        "modelled_gain": gain,
        "modelled_balanced_utilisation": 0.9,
        "modelled_even_utilisation": 0.5,
        **more,
    }


CLUSTERS = [row(16, 1.8), row(4, 2.0), row(64, math.nan)]
MIXTURES = [
    row(devices, 1 + slow * ratio / devices, slow_fraction=slow, speed_ratio=ratio)
    for devices in (4, 64)
    for slow in (0.25, 0.5)
    for ratio in (2, 8)
]


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_every_row_is_where_it_belongs(tmp_path):
    figure = draw_scaling(CLUSTERS, MIXTURES, "a title")
    use, by_devices, few, many = figure.axes
    assert lines(use)["balanced"] == [[4, 0.9], [16, 0.9], [64, 0.9]]
    assert lines(use)["even"] == [[4, 0.5], [16, 0.5], [64, 0.5]]
    profile = lines(by_devices)["as in the profile"]
    assert profile[:2] == [[4, 2.0], [16, 1.8]]
    assert math.isnan(profile[2][1])
    assert lines(by_devices)["50 % slower, ratio 8"] == [[4, 2.0], [64, 1 + 4 / 64]]
    assert lines(few) == {
        "25 % slow": [[2, 1.125], [8, 1.5]],
        "50 % slow": [[2, 1.25], [8, 2.0]],
    }
    assert "4 devices" in few.get_title()
    assert "64 devices" in many.get_title()
    for axes in figure.axes:
        assert "modelled" in axes.get_ylabel()
    figure.savefig(tmp_path / "scaling.png", dpi=40)


def test_clusters_of_one_size_have_one_panel_of_ratios():
    assert len(draw_scaling(CLUSTERS[:1], MIXTURES[:4]).axes) == 3


def test_gains_that_are_all_unknown_are_drawn_as_none(tmp_path):
    unknown = [row(4, math.nan, slow_fraction=0.5, speed_ratio=2)]
    figure = draw_scaling(unknown, unknown)
    figure.savefig(tmp_path / "scaling.png", dpi=40)
    _, by_devices, by_ratio = figure.axes
    assert len(by_devices.lines) == 2
    assert len(by_ratio.lines) == 1
    for line in (*by_devices.lines, *by_ratio.lines):
        assert np.isnan(np.asarray(line.get_ydata())).all()


@pytest.mark.parametrize(
    ("clusters", "mixtures", "names_it"),
    [
        ([], MIXTURES, "`clusters`"),
        (CLUSTERS, [], "`mixtures`"),
        (CLUSTERS, CLUSTERS, "`mixtures` .*'slow_fraction'"),
        ([{"devices": 3}], MIXTURES, "`clusters` .*'modelled_gain'"),
    ],
)
def test_incomplete_rows_are_refused(clusters, mixtures, names_it):
    with pytest.raises(InputError, match=names_it):
        draw_scaling(clusters, mixtures)
