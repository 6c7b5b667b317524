"""Sets of classes of a run: in its folder, in a raster beside the map, and on its page."""

import numpy as np
import pytest

from hsi_jax import session
from hsi_jax.commands.predict import PredictOptions, predict
from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.conformal import measure_coverage
from hsi_jax.evaluate.report.page import render_page
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.run.class_sets import read_class_sets
from hsi_jax.session.class_sets import promise_sets
from hsi_jax.trained import TrainedModel
from tests.session.test_areas import RUN

SHAPE = (40, 36)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run, by blocks, on a scene in files, one corner of which has no data."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (8, 6)), np.ones((5, 6), int)) + 1
    spectra = np.array([(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 0, 3)])
    cube = (spectra[labels - 1] + rng.normal(0, 1.5, (*SHAPE, 4)) + 5).astype(np.float32)
    cube[:2, :3] = -9
    folder = tmp_path_factory.mktemp("sets")
    np.savez(folder / "scene.npz", cube=cube, labels=labels)
    path = str(folder / "scene.npz")
    data = {"dataset": "file", "cube": path, "labels": path, "nodata": "-9"}
    split = {"split": "disjoint", "train_fraction": 0.3, "block_size": 4}
    options = session.RunOptions.of(**RUN, **data, **split, workdir=str(folder / "run"))
    session.run(options)
    return folder / "run"


def test_the_raster_holds_the_promise(run, tmp_path, capsys):
    output = tmp_path / "map.npy"
    given = {"run": str(run), "output": str(output), "conformal": 0.9}
    predict(PredictOptions(**given, probabilities=str(tmp_path / "p.npy")))
    assert "drawn as blocks of 4 x 4 pixels" in capsys.readouterr().out
    sets, probabilities = np.load(tmp_path / "map_sets.npy"), np.load(tmp_path / "p.npy")
    found = read_class_sets(run / "class_sets.json")
    missing = np.zeros(SHAPE, bool)
    missing[:2, :3] = True
    assert (sets[missing] == 255).all()
    expected = probabilities >= np.array(found.thresholds)
    np.testing.assert_array_equal(sets[~missing][:, 1:], expected[~missing])
    np.testing.assert_array_equal(sets[~missing][:, 0], expected[~missing].sum(1))
    prediction = read_run(run).prediction
    test = prediction["test"].astype(bool)
    inside = np.take_along_axis(sets[..., 1:], prediction["truth"][..., None] - 1, -1)[..., 0]
    for k in (1, 2, 3):  # of the pixels that the thresholds come from
        own = test & (prediction["truth"] == k)
        assert 0.9 <= inside[own].mean() <= 0.9 + 1.5 / own.sum() + 0.01
    assert found.pixels == test.sum()
    assert 0.85 < found.random.coverage < 0.95


def test_a_geotiff_names_its_bands(run, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    output = tmp_path / "map.png"
    predict(PredictOptions(run=str(run), output=str(output), conformal=0.8))
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        file = rasterio.open(tmp_path / "map_sets.tif")
    with file:
        assert file.descriptions[0] == "classes in the set"
        assert file.count == 4
        assert file.nodata == 255


def test_the_page_shows_both_halves_side_by_side(run):
    sets = promise_sets(str(run), TrainedModel.of_run(run), 0.9)
    sets.write(run)
    page = render_page([read_run(run)], [["again"]])
    assert "random: drawn pixel by pixel" in page
    assert "disjoint: blocks of 4 \u00d7 4 pixels" in page
    assert f"{100 * sets.disjoint.coverage:.1f}" in page


def test_a_model_without_held_out_pixels_says_so(run, tmp_path):
    given = {"model_dir": str(run / "model"), "cube": str(run.parent / "scene.npz")}
    with pytest.raises(InputError, match="held-out pixels of a run"):
        PredictOptions(**given, output=str(tmp_path / "map.npy"), conformal=0.9)
    with pytest.raises(InputError, match="conformal"):
        PredictOptions(run=str(run), output="map.npy", conformal=90)


def test_the_promise_breaks_where_groups_differ():
    """A third of the groups has other probabilities: what is drawn by groups is held less often."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 40)
    truth = rng.integers(0, 2, len(groups))
    right = np.where(rng.random(30) < 0.5, 0.9, 0.3)[groups] + rng.normal(0, 0.05, len(groups))
    probabilities = np.stack([np.where(truth == 0, right, 1 - right), np.zeros(len(groups))], 1)
    probabilities[:, 1] = 1 - probabilities[:, 0]
    random = measure_coverage(probabilities, truth, np.arange(len(groups)), level=0.9)
    apart = measure_coverage(probabilities, truth, groups, level=0.9)
    assert random.coverage == pytest.approx(0.9, abs=0.01)
    assert abs(apart.coverage - 0.9) > abs(random.coverage - 0.9)
    with pytest.raises(InputError, match="two groups"):
        measure_coverage(probabilities, truth, np.zeros(len(groups)), level=0.9)
