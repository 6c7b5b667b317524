"""Runs on collections of scenes: one result, however they are fed and divided."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from hsi_jax import session
from hsi_jax.commands.predict import PredictOptions, predict
from hsi_jax.data.collection.tile_cache import TileCache
from hsi_jax.errors import InputError
from hsi_jax.evaluate.report.page import render_page
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.launch.workers import free_port
from hsi_jax.options import with_values
from hsi_jax.session import training
from hsi_jax.session.options import RunOptions
from hsi_jax.trained import TrainedModel
from tests.data.collection import made_scenes as made

pytestmark = pytest.mark.slow

SMALL = {
    "dataset": "scenes",
    "split": "scenes",
    "model": "cnn2d",
    "model_options": "features=(8, 8, 8); hidden=16",
    "patch_size": 5,
    "components": 3,
    "tile_side": 16,
    "mixed_tiles": 2,
    "batch_size": 16,
    "microbatch_size": 4,
    "steps": 12,
    "figures": "none",
    "augment": "flip",
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Six small scenes: their table. What is known of them is kept apart from the user's."""
    folder = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield made.write_collection(folder, 6, 30, 26, tiled=True, blockxsize=16, blockysize=16)


@pytest.fixture(scope="module")
def options_of(table, tmp_path_factory):
    """The options of a run with some changed."""

    def options(**changes):
        given = {"scenes": str(table), "workdir": str(tmp_path_factory.mktemp("run") / "run")}
        return RunOptions.of(**SMALL | {"profile": "1"} | given | changes)

    return options


@pytest.fixture(scope="module")
def base(options_of):
    return session.run(options_of(figures="png", feed="resident"))


def bits(folder):
    """The bytes of a run's weights, and its losses."""
    lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    losses = [record["loss"] for record in map(json.loads, lines) if "learning_rate" in record]
    return (Path(folder) / "model" / "weights.npz").read_bytes(), losses


def test_a_run_tells_each_scene_and_what_is_shared(base, table):
    summary = json.loads((base.folder / "summary.json").read_text())
    assert summary["split"]["kind"] == "scenes"
    shared = summary["split"]["leakage"]["shared"]
    assert shared == {"scene": 0.0, "site": 0.0, "date": 1.0, "ground": 0.0}
    assert [scene["name"] for scene in summary["scenes"]] == ["s4", "s5"]
    found = np.load(base.folder / "prediction.npz")
    for number, scene in ((4, summary["scenes"][0]), (5, summary["scenes"][1])):
        here = found["scene"] == number
        truth = made.learnable(number, 30, 26)[1].ravel()[found["pixel"][here]] - 1
        np.testing.assert_array_equal(found["truth"][here], truth)
        accuracy = np.mean(found["prediction"][here] == truth)
        assert scene["overall_accuracy"] == pytest.approx(accuracy)
        assert scene["test_pixels"] == here.sum()
    accuracies = [scene["overall_accuracy"] for scene in summary["scenes"]]
    assert summary["scene_spread"]["mean"] == pytest.approx(np.mean(accuracies))
    assert summary["scene_spread"]["deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert (base.folder / "scenes.png").is_file()
    assert summary["overall_accuracy"] > 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"feed": "streamed", "cache_mb": 2048},
        {"feed": "streamed", "cache_mb": 0},
        {"feed": "streamed", "profile": "2:1:1"},
        {"feed": "resident", "profile": "2:1:1"},
    ],
)
def test_feed_cache_and_shares_change_no_bit(base, options_of, changes):
    found = session.run(options_of(**changes))
    assert found.summary.feed.kind == changes["feed"]
    assert bits(found.folder) == bits(base.folder)


def test_a_run_that_was_ended_goes_on_to_the_same_bits(base, options_of, monkeypatch):
    options = options_of(feed="streamed", profile="2:1")
    real = training.Recorder.on_step

    def end_at_5(self, step, loss, seconds):
        real(self, step, loss, seconds)
        if step == 5:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(training.Recorder, "on_step", end_at_5)
        with pytest.raises(SystemExit):
            session.run(options)
    found = session.run(with_values(options, resume=True, profile="1", feed="resident"))
    assert bits(found.folder)[0] == bits(base.folder)[0]


@pytest.mark.long
@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_processes_train_as_one(table, options_of, tmp_path, feed):
    environment = os.environ | {"NPROC": "4", "JAX_PLATFORMS": "cpu"}
    given = SMALL | {"scenes": str(table), "feed": feed, "augment": ""}
    flags = [f"--{name}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "hsi_jax", "run", *flags]
    alone = [*command, "--profile=1", f"--workdir={tmp_path}/alone"]
    subprocess.run(alone, env=environment, check=True, capture_output=True)
    place = (f"--coordinator=127.0.0.1:{free_port()}", "--num_processes=4", "--profile=2:1:1:1")
    running = [
        subprocess.Popen(
            [*command, *place, f"--process_id={rank}", f"--workdir={tmp_path}/{rank}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in range(4)
    ]
    said = [process.communicate(timeout=300)[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], said
    assert bits(tmp_path / "0") == bits(tmp_path / "alone")


def test_a_tile_that_vanishes_ends_the_run_or_is_skipped_and_told(
    options_of, table, monkeypatch, capsys
):
    real, lost = TileCache.get, []

    def get(self, number):
        if number == 5 and lost:
            raise InputError("scenes.csv, row 2 (s1): it is gone")
        return real(self, number)

    monkeypatch.setattr(TileCache, "get", get)
    lose = lambda *_: lost.append(True)  # noqa: E731
    monkeypatch.setattr(training.Recorder, "on_compiled", lose)
    options = options_of(feed="streamed", cache_mb=0, steps=40)
    with pytest.raises(InputError, match=r"row 2 \(s1\): it is gone"):
        session.run(options)
    lost.clear()
    done = session.run(with_values(options, on_unreadable="skip", overwrite=True))
    assert done.summary.steps == 40
    assert "row 2 (s1): it is gone" in done.summary.remarks[-1]
    said = capsys.readouterr()
    assert (said.out + said.err).count("training pixels are replaced by others from now on") == 1


def test_the_model_knows_bands_and_classes(base, table):
    model = TrainedModel.of_run(base.folder)
    assert model.description.wavelengths == made.WAVELENGTHS
    assert model.description.class_names == ("water", "forest", "field")
    assert len(model.description.value_ranges) == 6


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scenes": ""}, "`dataset`=scenes needs `scenes`"),
        ({"split": "official"}, "a collection has the splits"),
        ({"train_fraction": 0.1}, "`train_fraction` goes with splits within scenes"),
        ({"sampling": "balanced"}, "`sampling`=balanced does not go with"),
        ({"dataset": "synthetic"}, "`scenes` goes with `dataset`=scenes"),
        ({"cube": "a.tif"}, "`cube` goes with `dataset`=file"),
    ],
)
def test_options_that_do_not_go_together_are_named(options_of, changes, problem):
    with pytest.raises(InputError, match=problem):
        options_of(**changes)


def test_predict_maps_all_scenes_and_keeps_what_is_there(base, table, tmp_path, capsys):
    maps = tmp_path / "maps"
    predict(PredictOptions(run=str(base.folder), output=str(maps)))
    assert sorted(path.name for path in maps.glob("*.tif")) == [f"s{k}.tif" for k in range(6)]
    for number in range(6):
        with rasterio.open(maps / f"s{number}.tif") as found:
            with rasterio.open(table.parent / f"s{number}.tif") as scene:
                assert (found.transform, found.crs) == (scene.transform, scene.crs)
            classes = found.read(1)
        if number == 4:
            tested = np.load(base.folder / "prediction.npz")
            here = tested["scene"] == 4
            own = classes.ravel()[tested["pixel"][here]]
            # The map rounds otherwise where it is made in one pass.
            assert np.mean(own == tested["prediction"][here] + 1) > 0.99
    for path in maps.glob("s0*"):
        path.unlink()
    capsys.readouterr()
    predict(PredictOptions(run=str(base.folder), scenes=str(table), output=str(maps)))
    said = capsys.readouterr().out
    assert said.count("is there already and stays") == 5
    assert "Map: " in said
    with pytest.raises(InputError, match="give a folder for the maps of 6 scenes"):
        predict(PredictOptions(run=str(base.folder), output=str(tmp_path / "map.tif")))


def test_the_page_of_a_run_has_its_scenes(base):
    page = render_page([read_run(base.folder)], [()])
    assert "The test in each scene" in page
    assert "100.0 % of the test pixels share it" in " ".join(page.split())
    assert "neither a map nor a gallery" not in page


PRETRAIN = {"task": "pretrain", "model": "mlp", "model_options": "", "steps": 6, "augment": ""}


@pytest.fixture(scope="module")
def encoder(options_of):
    """Learnt from all pixels but those of the scenes that test."""
    return session.run(options_of(**PRETRAIN, pretrain_on="without_test", feed="streamed"))


@pytest.mark.long
def test_an_encoder_learns_from_all_pixels_of_the_scenes_that_do_not_test(encoder, options_of):
    counts = encoder.summary.split.counts
    tiles = 4 * 4  # of the scenes that do not test
    assert counts["train"] + counts["validation"] == 4 * 30 * 26
    assert counts["validation"] in {16 * 16, 16 * 10, 14 * 16, 14 * 10}  # one tile
    assert encoder.summary.split.remarks[-1].startswith(f"1 of {tiles} tiles")
    assert encoder.model.description.provenance.unseen_scenes == ("s4", "s5")
    assert encoder.summary.reconstruction.error < encoder.summary.reconstruction.error_of_mean * 1.2
    again = session.run(
        options_of(**PRETRAIN, pretrain_on="without_test", feed="resident", profile="2:1")
    )
    assert bits(again.folder) == bits(encoder.folder)


@pytest.mark.long
def test_a_classifier_of_many_scenes_starts_from_it_and_says_what_it_has_seen(encoder, options_of):
    given = {"model": None, "model_options": "", "components": None, "patch_size": None}
    changes = given | {"steps": 2, "init": str(encoder.folder)}
    found = session.run(options_of(**changes))
    assert "these data, without these test samples" in found.summary.split.remarks[-1]
    assert found.model.description.provenance.test_digest
    everything = session.run(options_of(**PRETRAIN | {"split": "random", "steps": 1}))
    assert everything.summary.split.kind == "all scenes"
    seen = session.run(options_of(**changes | {"init": str(everything.folder)}))
    assert "it has seen the test pixels" in seen.summary.split.remarks[-1]
    assert not seen.model.description.provenance.test_digest
