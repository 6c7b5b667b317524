"""Options from a file, under those of the command line."""

import json

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.session.flags import parse_run
from hsi_jax.session.loading import open_scene
from hsi_jax.session.options import RunOptions


def test_the_config_of_a_run_is_taken_but_for_its_place(tmp_path):
    kept = RunOptions.of(model="mlp", seed=3, profile="2:1", workdir="runs/first", overwrite=True)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(kept.to_json()))
    options = parse_run([f"--config={path}", "--seed=4"])
    assert options == RunOptions.of(model="mlp", seed=4, profile="2:1")


def test_a_toml_file_may_have_groups(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('dataset = "synthetic"\n[recipe]\nsteps = 5\nlearning_rate = 0.1\n')
    options = parse_run([f"--config={path}"])
    assert (options.recipe.steps, options.recipe.learning_rate) == (5, 0.1)


def test_a_yaml_file_is_read_as_flags(tmp_path):
    """YAML alone would take 2:1:1 for 7261, 1e-3 for text and on for True."""
    path = tmp_path / "run.yaml"
    path.write_text(
        "dataset: indian_pines\nmodel: mlp  # small\ndevices:\n  profile: 2:1:1\n"
        "learning_rate: 1e-3\n"
        "drop_bands: [104-108, 220]\npatience: null\nmeasure_even: true\n"
    )
    flags = ["--dataset=indian_pines", "--model=mlp", "--profile=2:1:1", "--learning_rate=1e-3"]
    flags += ["--drop_bands=104-108,220", "--measure_even"]
    assert parse_run([f"--config={path}"]) == parse_run(flags)


def test_a_path_of_a_file_may_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "run.yml"
    path.write_text("dataset: salinas_a\ndata_dir: ~/scenes\n")
    assert parse_run([f"--config={path}"]).data.data_dir == str(tmp_path / "scenes")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("steps: many", "steps"),
        ("steps: [", "cannot be read"),
        ("steps: {a: 1}", "a is not an option"),
        ("model: os:system", "code"),
        ("model: [[mlp]]", "neither"),
        ("steps: !!python/object/apply:os.system [ls]", "steps"),
    ],
)
def test_a_yaml_file_that_cannot_be_followed(tmp_path, text, word):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        parse_run([f"--config={path}"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"model": "os:system"}', "code"),
        ('{"model": [["mlp"]]}', "neither"),
        ('{"loss": "mine:loss"}', "code"),
        ('{"learning": 1}', "learning"),
        ("[1, 2]", "by name"),
        ("{", "cannot be read"),
        ('{"steps": -1}', "steps"),
    ],
)
def test_a_file_that_cannot_be_followed(tmp_path, text, word):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        parse_run([f"--config={path}"])


def test_flags_of_other_programs_are_named(capsys):
    with pytest.raises(SystemExit):
        parse_run(["--lr=0.1"])
    assert "--learning_rate" in capsys.readouterr().err


def test_the_bands_of_pictures_are_chosen(tmp_path):
    cube = np.random.default_rng(0).normal(size=(6, 7, 5)).astype(np.float32)
    np.save(tmp_path / "cube.npy", cube)
    np.save(tmp_path / "labels.npy", np.arange(42).reshape(6, 7) % 3)
    given = {"dataset": "file", "cube": str(tmp_path / "cube.npy"), "drop_bands": "1"}
    given["labels"] = str(tmp_path / "labels.npy")
    assert open_scene(RunOptions.of(**given)).rgb_bands is None  # no wavelengths are known
    assert open_scene(RunOptions.of(**given, rgb="4,2,0")).rgb_bands == (3, 1, 0)
    with pytest.raises(InputError, match="0 to 4"):
        open_scene(RunOptions.of(**given, rgb="5,2,0"))
    with pytest.raises(InputError, match="rgb"):
        RunOptions.of(rgb="red,green,blue")
