"""The table of figures: what is in it, what may enter, and what a damaged run leaves out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from hsi_jax.errors import InputError, StorageError
from hsi_jax.evaluate.figures import run_figures
from hsi_jax.evaluate.figures.run_figures import FIGURES, draw_figure, register, use_figures
from hsi_jax.evaluate.figures.spectra import draw_spectra
from hsi_jax.evaluate.run_files import RunFiles
from hsi_jax.run.figure_file import FIGURE_NAMES
from hsi_jax.run.records import Step

STEP = Step(step=0, loss=1.0, learning_rate=0.1, seconds=1.0, step_seconds=1.0)


@pytest.fixture(autouse=True)
def own_table(monkeypatch):
    monkeypatch.setattr(run_figures, "FIGURES", dict(FIGURES))


@pytest.fixture
def run(summary):
    return RunFiles(
        path=Path("."), config={}, profile={}, summary=summary, records=[STEP],
        class_names=("wood", "lake"), class_ids=(1, 2), colours=("#0072b2", "#e69f00"),
        spectra={"mean": np.ones((2, 3), np.float32), "deviation": np.ones((2, 3), np.float32)},
    )  # fmt: skip


def test_a_run_has_the_figures_of_its_files(run):
    drawn = {}
    assert use_figures(run, drawn.__setitem__) == []
    assert set(drawn) == {"curves", "confusion", "spectra", "shares", "timeline"}
    assert set(FIGURES) <= FIGURE_NAMES  # which a new run in the same folder removes


def test_a_baseline_has_no_steps_and_an_unfinished_run_no_results(run):
    drawn = {}
    use_figures(replace(run, summary=replace(run.summary, steps=0)), drawn.__setitem__)
    assert set(drawn) == {"confusion", "spectra"}
    drawn.clear()
    use_figures(replace(run, summary=None, class_names=(), spectra=None), drawn.__setitem__)
    assert set(drawn) == {"curves"}


def test_a_figure_from_outside_is_drawn_with_the_others(run):
    register("own", lambda run: Figure())
    drawn = {}
    use_figures(run, drawn.__setitem__)
    assert "own" in drawn


@pytest.mark.parametrize("name", ["curves", "map", "Own", "../own", ""])
def test_a_name_must_be_free_and_plain(name):
    with pytest.raises(InputError, match="`name`"):
        register(name, lambda run: None)


def test_a_name_that_is_not_in_the_table_is_refused(run):
    with pytest.raises(InputError, match="curvess"):
        draw_figure("curvess", run)


def test_a_figure_that_fails_stops_no_other(run):
    register("broken", lambda run: run.nothing)
    register("last", lambda run: Figure())
    drawn = {}
    (problem,) = use_figures(run, drawn.__setitem__)
    assert "broken" in problem
    assert "last" in drawn


def test_a_full_disk_is_told(run):
    def use(name, figure):
        raise StorageError("full")

    with pytest.raises(StorageError):
        use_figures(run, use)


@pytest.mark.parametrize("classes", [1, 3, 4, 5, 9])
def test_each_class_has_its_spectrum(classes, render):
    rng = np.random.default_rng(classes)
    mean = rng.random((classes, 6)).astype(np.float32)
    mean[classes // 2] = np.nan if classes > 1 else 1
    wavelengths = np.array([500, 400, 600, 700, 900, 800])
    names = [f"class {k}" for k in range(classes)]
    figure = draw_spectra(
        mean, 0 * mean + 0.1, names, colours=["#0072b2"] * classes, wavelengths=wavelengths
    )
    render(figure)
    assert [axes.get_title() for axes in figure.axes] == names
    order = np.argsort(wavelengths)
    for k, axes in enumerate(figure.axes):
        if np.isnan(mean[k]).any():
            assert axes.texts[0].get_text() == "no pixels"
            continue
        (line,) = axes.lines
        np.testing.assert_array_equal(line.get_xdata(), wavelengths[order])
        np.testing.assert_array_equal(line.get_ydata(), mean[k][order])


def test_spectra_that_do_not_fit_are_refused():
    one = np.ones((2, 3), np.float32)
    for mean, deviation in (
        (one, one[:1]),
        (one[:1], one[:1]),
        (one * np.nan, one),
        (one[:, :1],) * 2,
    ):
        with pytest.raises(InputError):
            draw_spectra(mean, deviation, ["a", "b"], colours=["#0072b2"] * 2)
