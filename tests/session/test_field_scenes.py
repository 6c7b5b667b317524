"""Scenes as people have them, by the command: what is said before training, and what is left."""

import json

import numpy as np
import pytest

from hsi_jax.commands.run import main
from hsi_jax.data import load_scene, synthetic_scene
from hsi_jax.errors import InputError
from hsi_jax.run.summary import read_summary
from hsi_jax.session.loading import open_scene, split_scene
from hsi_jax.session.options import RunOptions
from tests.session.runs import run

LOWEST = np.finfo(np.float32).min  # GDAL's value for no data
CHEAP = {
    "model": "mlp",
    "model_options": "hidden=(16, 8); dropout=0",
    "patch_size": 3,
    "profile": "2:1",
    "batch_size": 64,
    "steps": 4,
    "figures": "none",
}


@pytest.fixture
def files(tmp_path):
    """A scene of two files, with 255 for unlabelled, a dead band and a column without data."""
    scene = synthetic_scene()
    cube, labels = scene.cube[:, :40, ::8].copy(), scene.labels[:, :40]
    cube[..., 3] = 7
    cube[:, 11] = -9999
    np.save(tmp_path / "cube.npy", cube)
    np.save(tmp_path / "labels.npy", np.where(labels < 0, 255, labels).astype(np.uint8))
    return {"cube": str(tmp_path / "cube.npy"), "labels": str(tmp_path / "labels.npy")}


def test_a_run_tells_ids_values_and_bands_and_leaves_them(files, tmp_path, capsys):
    options = RunOptions.of(
        dataset="file",
        **files,
        unlabelled="255",
        nodata="-9999",
        drop_bands="constant",
        **CHEAP,
        workdir=str(tmp_path / "run"),
    )
    run(options)
    ids, cube = np.load(files["labels"]), np.load(files["cube"])
    printed = " ".join(capsys.readouterr().out.split())
    with_data = np.ones(ids.shape, bool)
    with_data[:, 11] = False
    for class_id in set(np.unique(ids[with_data]).tolist()) - {255}:
        assert f"class {class_id}: {np.count_nonzero(ids[with_data] == class_id)}" in printed
    unlabelled = np.count_nonzero(ids[with_data] == 255)
    labelled = np.count_nonzero(ids[:, 11] != 255)
    assert f"unlabelled id 255: {unlabelled}" in printed
    assert f"No data 96 of {96 * 40} pixels (-9999), {labelled} of them with" in printed
    assert "7 of 8, without 3 (counted from 0)" in printed

    summary = read_summary(tmp_path / "run" / "summary.json")
    assert summary.labels is not None
    assert summary.labels.unlabelled == {"255": unlabelled}
    assert summary.labels.pixels_without_data == labelled
    assert sum(summary.labels.class_counts) + unlabelled == with_data.sum()
    assert summary.cube is not None
    assert summary.cube.nodata_values == ("-9999",)
    assert summary.cube.pixels_without_data == 96
    assert (summary.cube.file_bands, summary.cube.dropped_bands) == (8, (3,))
    assert summary.cube.shape == (96, 40, 7)
    with np.load(tmp_path / "run" / "prediction.npz") as maps:
        assert (maps["prediction"][:, 11] == 255).all()
        assert not (maps["prediction"][with_data] == 255).any()
        assert not maps["test"][:, 11].any()
    model = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert model["unlabelled_id"] == 255
    assert model["kept_bands"] == [0, 1, 2, 4, 5, 6, 7]
    assert cube.shape[2] == model["file_bands"]


def test_the_command_names_flags(files, tmp_path, capsys):
    command = ["run", "--dataset=file", *(f"--{name}={path}" for name, path in files.items())]

    def error_of(*flags):
        with pytest.raises(SystemExit) as ended:
            main([*command, *flags, f"--workdir={tmp_path / 'run'}"])
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    assert "--unlabelled=0,255" in error_of()
    error = error_of("--unlabelled=255")
    assert "--nodata=-9999" in error
    assert "--keep_fill_values" in error


@pytest.mark.long
@pytest.mark.slow
def test_salinas_a_with_fill_values(real_data, tmp_path):
    """As clean once they are declared, and stopped by their name when they are not."""
    scene = load_scene("salinas_a", real_data)
    ids = scene.original_labels(scene.require_labels())
    np.save(tmp_path / "labels.npy", np.where(ids == 0, 255, ids).astype(np.uint8))
    np.save(tmp_path / "clean.npy", scene.cube)
    filled = scene.cube.copy()
    filled[:, :12] = LOWEST
    np.save(tmp_path / "filled.npy", filled)
    files = {"dataset": "file", "labels": str(tmp_path / "labels.npy"), "unlabelled": "255"}
    options = {**files, "profile": "1:1", "epochs": 8, "figures": "none"}

    clean = run(
        RunOptions.of(**options, cube=str(tmp_path / "clean.npy"), workdir=str(tmp_path / "clean"))
    )
    assert clean.overall_accuracy > 0.98
    options["cube"] = str(tmp_path / "filled.npy")
    with pytest.raises(InputError, match=r"-3.4028235e\+38 in all bands of 996 pixels"):
        run(RunOptions.of(**options, workdir=str(tmp_path / "undeclared")))
    declared = run(
        RunOptions.of(**options, nodata="-3.4028235e+38", workdir=str(tmp_path / "declared"))
    )
    assert declared.cube is not None
    assert declared.cube.pixels_without_data == 12 * 83
    assert abs(declared.overall_accuracy - clean.overall_accuracy) < 0.01


@pytest.mark.slow
def test_a_list_of_pixels_trains_a_model_of_spectra(tmp_path):
    scene = synthetic_scene()
    np.save(tmp_path / "cube.npy", scene.cube.reshape(-1, 64))
    np.save(tmp_path / "labels.npy", scene.labels.ravel() + 1)
    options = RunOptions.of(
        dataset="file",
        cube=str(tmp_path / "cube.npy"),
        labels=str(tmp_path / "labels.npy"),
        model="cnn1d",
        profile="1:1",
        epochs=10,
        workdir=str(tmp_path / "run"),
    )
    assert run(options).overall_accuracy > 0.5


def test_the_advice_on_a_class_of_one_pixel_helps(files):
    ids = np.load(files["labels"])
    ids[5, 5] = 77
    np.save(files["labels"], ids)
    flags = {"dataset": "file", **files, "nodata": "-9999"}
    options = RunOptions.of(**flags, unlabelled="255")
    with pytest.raises(InputError, match=r"id 77.*`unlabelled`=255,77") as error:
        split_scene(options, open_scene(options))
    options = RunOptions.of(**flags, unlabelled=str(error.value).rsplit("=", 1)[1])
    assert len(split_scene(options, open_scene(options)).train)
