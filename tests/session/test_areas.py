"""Areas with intervals in the summary, in the table of a map and on the page; what they miss."""

import csv
import dataclasses

import numpy as np
import pytest

from hsi_jax import session
from hsi_jax.commands.predict import PredictOptions, predict
from hsi_jax.data import Scene, Split, disjoint_split, random_split
from hsi_jax.evaluate.measures.areas import estimate_areas
from hsi_jax.evaluate.report.page import render_page
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.run.summary import read_summary

RUN = {
    "model": "mlp",
    "model_options": "hidden=(16, 8); dropout=0",
    "profile": "1",
    "batch_size": 64,
    "steps": 30,
    "learning_rate": 0.01,
    "figures": "none",
    "validation_fraction": 0,
}
SHAPE = (24, 20)


def make(kept=1.0, scattered=False):
    """A scene of three classes in fields of 6 x 5, of which a part has labels."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.permuted(np.arange(16) % 3).reshape(4, 4), np.ones((6, 5), int))
    spectra = np.array([(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 0, 3)])
    cube = spectra[labels] + rng.normal(0, 1.0, (*SHAPE, 4)) + 5
    marked = labels + 1
    if scattered:
        marked.flat[rng.permutation(marked.size)[round(kept * marked.size) :]] = 0
    else:
        marked[:, round(kept * SHAPE[1]) :] = 0
    return Scene.from_arrays("toy", cube, marked)


def run(scene, split, folder, **others):
    options = session.RunOptions.of(**RUN, **others, workdir=str(folder))
    return session.run(options, scene=scene, split=split)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run on a scene all of whose pixels have labels."""
    scene = make()
    split = random_split(scene.labels, 0, train_fraction=0.2)
    return run(scene, split, tmp_path_factory.mktemp("whole") / "run")


def test_they_are_those_of_the_map_and_the_test_pixels(whole):
    areas = read_summary(whole.folder / "summary.json").areas
    assert areas == whole.summary.areas
    with np.load(whole.folder / "prediction.npz") as file:
        mapped = [int((file["prediction"] == number).sum()) for number in (1, 2, 3)]
    expected = estimate_areas(whole.summary.confusion_matrix, mapped)
    assert areas.classes == expected.classes
    assert [one.mapped for one in areas.classes] == mapped
    assert sum(one.tested for one in areas.classes) == whole.summary.split.counts["test"]


def test_where_all_pixels_have_labels_the_test_is_a_sample_of_the_map(whole):
    assert whole.summary.areas.probability_sample is True
    assert whole.summary.areas.caveats == ()
    truth = np.bincount(make().labels.ravel())
    for one, true in zip(whole.summary.areas.classes, truth, strict=True):
        assert abs(one.pixels - true) <= 2 * one.pixels_half_width


@pytest.mark.parametrize(
    ("scattered", "drawn", "words"),
    [(False, False, "not how these areas were chosen"), (True, None, "were drawn at random")],
)
def test_labels_on_a_part_of_the_map(tmp_path, scattered, drawn, words):
    scene = make(0.5, scattered)
    split = random_split(scene.labels, 0, train_fraction=0.3)
    areas = run(scene, split, tmp_path / "run", patch_size=3).summary.areas
    assert areas.probability_sample is drawn
    assert words in areas.caveats[0]
    assert "50.0%" in areas.caveats[0]
    assert "have a training pixel in their patch" in areas.caveats[1]


def test_blocks_are_no_draw_of_pixels(tmp_path):
    scene = make()
    split = disjoint_split(scene.labels, 0, train_fraction=0.3, block_size=3, guard=0)
    areas = run(scene, split, tmp_path / "run").summary.areas
    assert areas.probability_sample is False
    assert "whole blocks" in areas.caveats[0]


def test_of_another_split_it_is_not_known(tmp_path):
    scene = make()
    drawn = random_split(scene.labels, 0, train_per_class=20)
    split = Split("file", drawn.train, drawn.validation, drawn.test[:100])
    areas = run(scene, split, tmp_path / "run").summary.areas
    assert areas.probability_sample is None
    assert "does not say how" in areas.caveats[0]
    assert "of a class's labelled pixels are tested" in areas.caveats[1]


def test_a_class_without_test_pixels_leaves_no_estimate(tmp_path, capsys):
    scene = make()
    drawn = random_split(scene.labels, 0, train_fraction=0.2)
    test = drawn.test[scene.labels.flat[drawn.test] != 2][:3]
    areas = run(scene, Split("file", drawn.train, drawn.validation, test), tmp_path / "r").summary
    assert areas.areas.classes == ()
    assert "test more of them" in areas.areas.problem
    assert "no areas with intervals" in capsys.readouterr().out


def test_the_table_of_the_map_has_them(whole, tmp_path):
    scene = make()
    np.savez(tmp_path / "scene.npz", cube=scene.cube, labels=scene.labels + 1)
    path = str(tmp_path / "scene.npz")
    options = session.RunOptions.of(
        **RUN, dataset="file", cube=path, labels=path, workdir=str(tmp_path / "run")
    )
    summary = session.run(options).summary
    predict(PredictOptions(run=str(tmp_path / "run"), output=str(tmp_path / "map.npy")))
    with open(tmp_path / "map_areas.csv", encoding="utf-8", newline="") as file:
        *rows, nodata = csv.DictReader(file)
    for row, one in zip(rows, summary.areas.classes, strict=True):
        assert int(row["pixels"]) == one.mapped
        assert float(row["adjusted_pixels"]) == pytest.approx(one.pixels, abs=1e-4)
        assert float(row["adjusted_pixels_95"]) == pytest.approx(one.pixels_half_width, abs=1e-4)
        assert float(row["users_accuracy"]) == pytest.approx(one.users_accuracy, abs=1e-4)
        assert row["probability_sample"] == "yes"
    assert nodata["adjusted_pixels"] == ""

    np.save(tmp_path / "other.npy", scene.cube)
    other, output = str(tmp_path / "other.npy"), str(tmp_path / "other_map.npy")
    predict(PredictOptions(run=str(tmp_path / "run"), cube=other, output=output))
    # The test pixels are not of this scene.
    assert "adjusted" not in (tmp_path / "other_map_areas.csv").read_text(encoding="utf-8")


def test_the_page_shows_them_and_what_they_miss(whole):
    files = read_run(whole.folder)
    page = render_page([files], [["again"]])
    assert "Right by area" in page
    assert f"{whole.summary.areas.classes[0].pixels:,.0f}" in page
    areas = dataclasses.replace(
        whole.summary.areas, probability_sample=False, caveats=("Blocks & more.",)
    )
    changed = dataclasses.replace(files.summary, areas=areas)
    page = render_page([dataclasses.replace(files, summary=changed)], [["again"]])
    assert "The test pixels are no probability sample of the map" in page
    assert "Blocks &amp; more." in page
