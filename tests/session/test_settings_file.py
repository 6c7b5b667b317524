"""Options from a file, under those of the command line."""

import json

import pytest

from hsi_jax.errors import InputError
from hsi_jax.session.flags import parse_run
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


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"model": "os:system"}', "code"),
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
