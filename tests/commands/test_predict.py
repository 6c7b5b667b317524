"""The command that makes maps: position and pixels without data kept, stopped and gone on with."""

import csv
import dataclasses
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hsi_jax.cluster import launchers
from hsi_jax.commands.predict import PredictOptions, main, predict
from hsi_jax.data import Scene, random_split
from hsi_jax.errors import InputError, InputWarning, StorageError
from hsi_jax.run.tile_claims import TileClaims
from hsi_jax.run.tile_store import TileStore
from hsi_jax.session import map_writing, train_scene
from hsi_jax.session.options import RunOptions
from hsi_jax.train import Recipe
from hsi_jax.trained import TrainedModel

ROOT = Path(__file__).parents[2]
TILES = 6  # of 16 x 16 pixels in the scene
IDS = (3, 5, 9)


@pytest.fixture(scope="module")
def scene():
    """A small scene whose spectra tell the class, with a position and wavelengths."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.choice(np.array(IDS), (6, 5)), np.ones((7, 6), int))
    spectra = {3: (0, 1, 2, 3), 5: (3, 2, 1, 0), 9: (0, 3, 0, 3)}
    cube = np.array([spectra[int(label)] for label in labels.flat]).reshape(*labels.shape, 4)
    cube = cube + rng.normal(0, 0.3, cube.shape) + 5
    names = {3: "Maize", 5: "Wood", 9: "Water"}
    return Scene.from_arrays("toy", cube, labels, class_names=names)


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory):
    """A folder with a model and its scene as a file."""
    folder = tmp_path_factory.mktemp("predict")
    split = random_split(scene.labels, 0, train_fraction=0.2)
    model = train_scene(
        scene,
        split,
        options="features=(4, 4, 8); hidden=8",
        patch_size=3,
        components=3,
        recipe=Recipe(steps=40, batch_size=48, microbatch_size=8, learning_rate=0.03),
    ).model
    model.save(folder / "model")
    np.save(folder / "scene.npy", scene.cube)
    return folder


def options_of(folder, tmp_path, output="map.npy", **others):
    given = {"cube": str(folder / "scene.npy"), **others}
    return PredictOptions(model_dir=str(folder / "model"), output=str(tmp_path / output), **given)


def test_the_map_is_that_of_the_model(folder, scene, tmp_path):
    extra = {
        "probabilities": str(tmp_path / "p.npy"),
        "confidence": str(tmp_path / "c.npy"),
    }
    predict(options_of(folder, tmp_path, **extra))
    model = TrainedModel.load(folder / "model")
    expected, probabilities = model.predict(scene), model.predict_probabilities(scene)
    assert np.array_equal(np.load(tmp_path / "map.npy"), model.label_ids(expected))
    assert np.mean(expected == scene.labels) > 0.8
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), probabilities, atol=1e-5)
    ordered = np.sort(probabilities, -1)
    margin = ordered[..., -1] - ordered[..., -2]
    np.testing.assert_allclose(np.load(tmp_path / "c.npy"), margin, atol=1e-5)
    with open(tmp_path / "map_areas.csv", encoding="utf-8", newline="") as file:
        counted = {row["class"]: int(row["pixels"]) for row in csv.DictReader(file)}
    assert counted["Wood"] == (expected == 1).sum()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"map.npy", "p.npy", "c.npy", "map_areas.csv", "map_legend.png"}


def test_without_a_cube_it_is_the_scene_of_the_run(folder, scene, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folder / "model", run / "model")
    np.savez(tmp_path / "scene.npz", cube=scene.cube, labels=scene.original_labels(scene.labels))
    path = str(tmp_path / "scene.npz")
    options = RunOptions.of(dataset="file", cube=path, labels=path).to_json()
    (run / "config.json").write_text(json.dumps(options))
    predict(PredictOptions(run=str(run), output=str(tmp_path / "map.npy")))
    model = TrainedModel.of_run(run)
    assert np.array_equal(np.load(tmp_path / "map.npy"), model.label_ids(model.predict(scene)))


def test_the_scene_and_the_labels_of_a_run_are_never_overwritten(folder, scene, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folder / "model", run / "model")
    files = {"cube": str(tmp_path / "c.npy"), "labels": str(tmp_path / "l.npy")}
    np.save(files["cube"], scene.cube)
    np.save(files["labels"], scene.original_labels(scene.labels))
    options = RunOptions.of(dataset="file", **files).to_json()
    (run / "config.json").write_text(json.dumps(options))
    for path in files.values():
        before = Path(path).read_bytes()
        with pytest.raises(InputError, match="scene itself"):
            predict(PredictOptions(run=str(run), output=path, overwrite=True))
        assert Path(path).read_bytes() == before


def test_position_and_missing_pixels_are_kept(folder, scene, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.Affine(30, 0, 500_000, 0, -30, 4_000_000)
    bands = np.moveaxis(scene.cube, -1, 0).copy()
    bands[:, 4:8, 10] = -1
    bands[1, 20, 3] = np.nan
    profile = {"driver": "GTiff", "count": 4, "dtype": "float32", "nodata": -1}
    place = {"crs": "EPSG:32616", "transform": transform}
    rows, columns = scene.cube.shape[:2]
    with rasterio.open(
        tmp_path / "scene.tif", "w", height=rows, width=columns, **profile, **place
    ) as file:
        file.write(bands)
    extra = {
        "probabilities": str(tmp_path / "p.tif"),
        "probability_type": "uint8",
        "confidence": str(tmp_path / "c.tif"),
        "confidence_kind": "entropy",
    }
    with pytest.warns(InputWarning, match="not finite"):
        predict(options_of(folder, tmp_path, "map.tif", cube=str(tmp_path / "scene.tif"), **extra))
    missing = (bands[0] == -1) | np.isnan(bands).any(0)
    model = TrainedModel.load(folder / "model")
    cube = np.where(missing[..., None], 0, np.moveaxis(bands, 0, -1))
    masked = Scene.from_arrays("masked", cube, nodata=missing)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert np.array_equal(file.read(1), model.label_ids(model.predict(masked)))
        assert np.array_equal(file.read_masks(1) == 0, missing)
        assert (file.crs.to_epsg(), file.transform) == (32616, transform)
    expected = model.predict_probabilities(masked)
    with rasterio.open(tmp_path / "p.tif") as file:
        read = np.moveaxis(file.read(masked=True), 0, -1)
        assert np.array_equal(read.mask.all(-1), missing)
        scaled = np.asarray(read.filled(0) * np.array(file.scales))
        assert file.descriptions == ("Maize", "Wood", "Water")
        np.testing.assert_allclose(scaled[~missing], expected[~missing], atol=0.0021)
    with rasterio.open(tmp_path / "c.tif") as file:
        entropy = -(expected * np.log(expected)).sum(-1)
        np.testing.assert_allclose(file.read(1), entropy, atol=1e-4)
    with open(tmp_path / "map_areas.csv", encoding="utf-8", newline="") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert int(rows["no data"]["pixels"]) == missing.sum()
    assert float(rows["no data"]["hectares"]) == pytest.approx(missing.sum() * 0.09)


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".png"}


def test_stopped_and_gone_on_with_the_bytes_are_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(map_writing, "dealt_side", lambda shape: 16)
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    extra = {"probabilities": "p.npy", "confidence": "c.npy"}

    def request(name):
        named = {key: str(tmp_path / name / value) for key, value in extra.items()}
        return options_of(folder, tmp_path / name, "map.hdr", **named)

    predict(request("whole"))
    write, left = map_writing.TileStore.write, [3]

    def stop(store, *args):
        write(store, *args)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(map_writing.TileStore, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        predict(request("stopped"))
    assert not (tmp_path / "stopped" / "map.hdr").exists()
    other = dataclasses.replace(request("stopped"), method="patches")
    with pytest.raises(InputError, match="method"):
        predict(other)
    predict(dataclasses.replace(request("stopped"), overwrite=True))  # goes on all the same
    assert left[0] == 3 - TILES
    assert files_in(tmp_path / "stopped") == files_in(tmp_path / "whole")


def test_a_scene_that_has_changed_is_not_gone_on_with(folder, scene, tmp_path, monkeypatch):
    def stop(store, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(map_writing.TileStore, "write", stop)
    options = options_of(folder, tmp_path, cube=str(tmp_path / "scene.npy"))
    np.save(tmp_path / "scene.npy", scene.cube)
    with pytest.raises(KeyboardInterrupt):
        predict(options)
    np.save(tmp_path / "scene.npy", scene.cube + 1)
    with pytest.raises(InputError, match="scene's files"):
        predict(options)


@pytest.mark.long
@pytest.mark.slow
def test_killed_and_gone_on_with_the_bytes_are_the_same(folder, scene, tmp_path):
    """Several tiles, by real processes; the second one is killed once a tile is done."""
    np.save(tmp_path / "large.npy", np.tile(scene.cube, (20, 14, 1)))

    def start(name):
        command = [
            sys.executable,
            "-m",
            "experiments.predict",
            f"--model_dir={folder / 'model'}",
            f"--cube={tmp_path / 'large.npy'}",
            f"--output={tmp_path / name / 'map.npy'}",
            f"--probabilities={tmp_path / name / 'p.npy'}",
        ]
        (tmp_path / name).mkdir(exist_ok=True)
        return subprocess.Popen(command, cwd=ROOT)

    assert start("whole").wait() == 0
    process = start("killed")
    unfinished = tmp_path / "killed" / ".map.npy.unfinished"
    while not list(unfinished.glob("*/tiles/[0-9]*")):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "map.npy").exists()
    assert start("killed").wait() == 0
    assert files_in(tmp_path / "killed") == files_in(tmp_path / "whole")


def test_values_without_data_are_declared(folder, scene, tmp_path):
    cube = np.array(scene.cube)
    cube[:4] = -9999
    np.save(tmp_path / "gap.npy", cube)
    given = {"cube": str(tmp_path / "gap.npy")}
    with pytest.warns(InputWarning) as caught:
        predict(options_of(folder, tmp_path, "undeclared.npy", **given))
    assert any("Declare -9999" in str(warning.message) for warning in caught)
    assert (np.load(tmp_path / "undeclared.npy") != 0).all()
    predict(options_of(folder, tmp_path, nodata="-9999", **given))
    expected = np.zeros(scene.shape[:2], bool)
    expected[:4] = True
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy") == 0, expected)
    with pytest.raises(InputError, match="nodata"):
        predict(options_of(folder, tmp_path, nodata="low", **given))


@pytest.mark.parametrize("name", ["scene", "scene.bsq"])
def test_the_header_of_a_scene_is_never_overwritten(folder, scene, tmp_path, name):
    cube = np.asarray(scene.cube, np.float32)
    (tmp_path / name).write_bytes(np.ascontiguousarray(cube.transpose(2, 0, 1)).tobytes())
    header = tmp_path / f"{name}.hdr"
    header.write_text(
        f"ENVI\nsamples = {cube.shape[1]}\nlines = {cube.shape[0]}\nbands = {cube.shape[2]}\n"
        f"header offset = 0\ndata type = 4\ninterleave = bsq\nbyte order = 0\n"
    )
    before = header.read_bytes()
    given = {"cube": str(tmp_path / name), "overwrite": True}
    with pytest.raises(InputError, match="scene itself"):
        predict(options_of(folder, tmp_path, header.name, **given))
    assert header.read_bytes() == before


def test_nothing_is_overwritten_unasked(folder, tmp_path):
    predict(options_of(folder, tmp_path))
    with pytest.raises(InputError, match="exists already"):
        predict(options_of(folder, tmp_path))
    predict(options_of(folder, tmp_path, overwrite=True))


def test_who_comes_when_the_others_have_made_the_map_has_nothing_to_do(
    folder, tmp_path, monkeypatch, capsys
):
    predict(options_of(folder, tmp_path))
    before = (tmp_path / "map.npy").stat().st_mtime_ns
    monkeypatch.setattr(launchers, "find_rank", lambda: 1)  # and was started before that
    for overwrite in (False, True):
        predict(options_of(folder, tmp_path, overwrite=overwrite))
        assert "made by other processes" in capsys.readouterr().out
    assert (tmp_path / "map.npy").stat().st_mtime_ns == before
    assert not (tmp_path / ".map.npy.unfinished").exists()


def test_a_map_that_others_write_at_the_end_is_left_to_them(folder, tmp_path, monkeypatch, capsys):
    def write(request, method, side, store):
        request.output.touch()  # others have made all tiles, and used them
        store.remove()
        return TileClaims(store)

    monkeypatch.setattr(map_writing, "fill", write)
    predict(options_of(folder, tmp_path))
    assert "Map:" not in capsys.readouterr().out
    (tmp_path / "map.npy").unlink()
    monkeypatch.setattr(
        map_writing, "fill", lambda *args: (args[3].remove(), TileClaims(args[3]))[1]
    )
    with pytest.raises(StorageError, match="gone"):
        predict(options_of(folder, tmp_path))


def test_the_file_says_what_made_the_map(folder, scene, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    for name in ("map.tif", "other.hdr"):
        predict(options_of(folder, tmp_path, name, kernels="xla"))
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        file = rasterio.open(tmp_path / "map.tif")
    with file:
        assert file.tags()["hsi_jax_kernels"] == "xla"
        assert file.tags()["hsi_jax_devices"] == "cpu"
    assert "kernels xla, devices cpu}" in (tmp_path / "other.hdr").read_text()


def test_an_unfinished_map_of_another_kind_is_replaced_if_asked_for(folder, tmp_path):
    unfinished = tmp_path / ".map.npy.unfinished"
    TileStore(unfinished, {}, {}, [])
    with pytest.raises(InputError, match="unfinished"):
        predict(options_of(folder, tmp_path))
    predict(options_of(folder, tmp_path, overwrite=True))
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "map.jpg"}, "output"),
        ({"probabilities": "p.png"}, "probabilities"),
        ({"cube": "missing.npy"}, "missing"),
        ({"output": "no/such/map.npy"}, "no folder"),
        ({"probabilities": "map.npy"}, "same name"),
        ({"profile": "fast"}, "profile"),
    ],
)
def test_mistakes_are_told_before_the_work(folder, tmp_path, change, message, monkeypatch):
    monkeypatch.setattr(map_writing, "fill", None)
    options = options_of(folder, tmp_path)
    places = {key: value if key == "profile" else tmp_path / value for key, value in change.items()}
    names = {key: str(value) for key, value in places.items()}
    with pytest.raises(InputError, match=message):
        predict(dataclasses.replace(options, **names))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"run": "a", "model_dir": "b", "output": "map.npy"},
        {"model_dir": "b", "output": "map.npy"},
        {"run": "a"},
        {"run": "a", "output": "map.npy", "confidence_kind": "luck"},
    ],
)
def test_options_that_contradict(given):
    with pytest.raises(InputError):
        PredictOptions(**given)


def test_the_command_tells_in_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["predict", "--run=nowhere", "--output=map.npy"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: --run=nowhere")
