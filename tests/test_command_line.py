"""Flags, help and mistakes of commands, with those of a run as the example."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from hsi_jax import command_line as edge
from hsi_jax.commands.run import main, run_help
from hsi_jax.errors import InputError
from hsi_jax.hetero import PRESETS
from hsi_jax.options import declared, values
from hsi_jax.session.flags import parse_run
from hsi_jax.session.options import RunOptions

FIELDS = {each.field.name: each.field for each in declared(RunOptions)}
HEADINGS = {each.field.name: each.heading for each in declared(RunOptions)}
ROOT = Path(__file__).parents[1]
PRESET_FILES = sorted((ROOT / "hsi_jax" / "presets").glob("*.flags"))


def ended(call, *arguments):
    """The exit code of a call that ends the program."""
    with pytest.raises(SystemExit) as stopped:
        call(*arguments)
    return stopped.value.code


def error_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_each_option_is_a_flag_with_its_default():
    defined = flags.FlagValues()
    edge.define_flags(RunOptions, defined)
    for name, field in FIELDS.items():
        assert defined[name].default == field.default
        assert defined[name].help == field.metadata["help"]
    assert edge.options_from_flags(RunOptions, defined(["run"]) and defined) == RunOptions.of()


def test_flags_become_options_of_the_right_types():
    given = ["--model=mlp", "--steps", "3", "--learning_rate=1e-2", "--components=0"]
    given += ["--train_fraction=.25", "--profile=2:1", "--overwrite", "--workdir=runs/a b"]
    assert parse_run(given) == RunOptions.of(
        model="mlp",
        steps=3,
        learning_rate=0.01,
        components=0,
        train_fraction=0.25,
        profile="2:1",
        overwrite=True,
        workdir="runs/a b",
    )
    assert parse_run(["--microbatch_size=8"]).recipe.microbatch_size == 8
    assert parse_run(["--microbatch_size=auto"]).recipe.microbatch_size == "auto"


def test_the_flags_of_one_command_line_are_not_those_of_the_next():
    parse_run(["--steps=3"])
    assert parse_run([]) == RunOptions.of()
    assert "steps" not in flags.FLAGS


@pytest.mark.parametrize("argument", edge.HELP)
def test_help_is_printed_whatever_else_is_asked(argument, capsys):
    assert ended(main, ["run", "--nosuchflag=1", argument]) == 0
    assert capsys.readouterr().out == run_help() + "\n"


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--nosuchflag=1", "nosuchflag"),
        ("--batch_size=many", "--batch_size=many"),
        ("--batch_size=1.5", "--batch_size=1.5"),
        ("--learning_rate=fast", "--learning_rate=fast"),
        ("synthetic", "'synthetic' is not a flag"),
        ("--dataset=nope", "--dataset=nope"),  # found by the library
        ("--data_dir=d", "--data_dir has no effect with --dataset=synthetic"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_flag(argument, named, capsys):
    assert ended(main, ["run", argument]) == 2
    assert named in error_line(capsys)


def test_a_message_of_several_lines_becomes_one(capsys):
    assert ended(edge.fail, "one\n  two\n") == 2
    assert error_line(capsys) == "error: one two\n"


def test_arguments_of_the_library_become_the_flags_of_the_command():
    parse_run([])
    error = InputError("`augmentations` and `options`, `seed`=3, but not `rng`")
    assert edge.message_of(error) == "--augment and --model_options, --seed=3, but not rng"
    assert edge.message_of(ValueError("`seed`")) == "`seed`"


def help_entries():
    """Group and text of each flag, as a reader of the help finds them."""
    entries, group, name = {}, None, None
    for line in run_help().splitlines():
        if re.fullmatch(r"[A-Z]\w+:", line):
            group = line.removesuffix(":")
        elif group and line.startswith("  --"):
            name, text = line.strip().removeprefix("--").split(maxsplit=1)
            assert name not in entries
            entries[name] = (group, text)
        elif name and line.startswith(" " * 26):
            entries[name] = (group, f"{entries[name][1]} {line.strip()}")
    return entries


def test_the_help_lists_each_flag_once_under_its_group():
    entries = help_entries()
    assert {name: group for name, (group, _) in entries.items()} == {
        **HEADINGS,
        "config": "Output",  # a flag, but no option
    }
    groups = re.findall(r"^([A-Z]\w+):$", run_help(), flags=re.MULTILINE)
    headings = ["Data", "Split", "Scenes", "Model", "Devices", "Training", "Learning"]
    assert groups == [*headings, "Checkpoints", "Output"]


def test_the_help_tells_choices_and_defaults():
    entries = {name: text for name, (_, text) in help_entries().items()}
    for name, field in FIELDS.items():
        others = re.findall(r"`(\w+)`", field.metadata["help"])
        assert set(others) <= set(FIELDS)
        assert entries[name].startswith(re.sub(r"`(\w+)`", r"--\1", field.metadata["help"]))
        assert ", ".join(field.metadata["choices"]) in entries[name]
        number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
        if number or (field.metadata["choices"] and field.default):
            assert entries[name].endswith(f" [{field.default}]")


def test_the_help_tells_the_presets():
    text = " ".join(run_help().split())
    for name, speeds in PRESETS.items():
        assert f"{name} ({':'.join(map(str, speeds))})" in text


def test_the_help_fits_a_terminal():
    lines = run_help().splitlines()
    assert len(lines) <= 190
    assert max(map(len, lines)) <= 100


@pytest.mark.slow
def test_the_program_emulates_the_devices_it_needs(tmp_path):
    command = [sys.executable, "-m", "experiments.run", "--model=mlp", "--steps=2"]
    command += ["--model_options=hidden=(8, 8); dropout=0", "--profile=8:4:2:1", "--figures=none"]
    command += [f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)
    folder = Path(re.search(r"^Results: (.*)$", done.stdout, flags=re.MULTILINE)[1])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["speeds"] == [8, 4, 2, 1]
    assert (summary["num_devices"], summary["steps"]) == (4, 2)
    assert json.loads((folder / "config.json").read_text())["profile"] == "8:4:2:1"


@pytest.mark.parametrize("path", PRESET_FILES, ids=lambda path: path.stem)
def test_a_preset_is_a_sound_run(path):
    options = parse_run([f"--flagfile={path}", "--seed=3"])
    # Of a data set and a model, or of a model alone.
    assert options.data.dataset == "synthetic" or path.stem.startswith(options.data.dataset)
    assert path.stem.endswith(options.model.model)
    assert options.recipe.seed == 3


def test_there_are_presets():
    assert len(PRESET_FILES) == 7


PATHS = ("cube", "labels", "split", "profile", "workdir")


def test_the_home_folder_may_be_written_short_in_every_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert {name for name, field in FIELDS.items() if field.metadata["path"]} >= {*PATHS}
    options = parse_run(["--dataset=file", *(f"--{name}=~/{name}" for name in PATHS)])
    for name in PATHS:
        assert values(options)[name] == f"/home/me/{name}"
    with pytest.raises(InputError, match="--workdir=~nobody_of_this_name/x"):
        parse_run(["--workdir=~nobody_of_this_name/x"])


@pytest.mark.parametrize("first", ["--model=mlp", "# a comment", "// another", ""])
def test_a_flag_file_of_windows_is_read(first, tmp_path):
    path = tmp_path / "windows.flags"
    lines = [first, "--model=mlp", "--steps=5", "", "   --seed=3"]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    options = parse_run([f"--flagfile={path}", "--batch_size=7"])
    assert options == RunOptions.of(model="mlp", steps=5, seed=3, batch_size=7)


def test_a_flag_file_that_is_no_text_is_one_line(tmp_path, capsys):
    (tmp_path / "utf16.flags").write_bytes("--model=mlp\n".encode("utf-16"))
    assert ended(parse_run, [f"--flagfile={tmp_path / 'utf16.flags'}"]) == 2
    assert "UTF-8" in error_line(capsys)
