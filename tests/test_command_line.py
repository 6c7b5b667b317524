import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from hsi_jax import command_line as edge
from hsi_jax.commands.run import run_help
from hsi_jax.errors import InputError
from hsi_jax.hetero import PRESETS
from hsi_jax.options import values
from hsi_jax.session.data_options import IMAGE_SETS, SCENES
from hsi_jax.session.options import RunOptions

FIELDS = {field.name: field for field in dataclasses.fields(RunOptions)}
PRESET_FILES = sorted((Path(__file__).parents[1] / "hsi_jax" / "presets").glob("*.flags"))


@pytest.fixture
def defined():
    """The flags, defined for one test; absl keeps them in one place for the whole process."""
    edge.define_flags(RunOptions)
    yield flags.FLAGS
    flags.FLAGS.unparse_flags()
    for name in FIELDS:
        delattr(flags.FLAGS, name)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """What four calls of the program did, which run side by side to save time."""
    calls = {
        "help": ["--help"],
        "choice": ["--dataset=nope"],
        "unknown": ["--nosuchflag=1"],
        "run": [
            "--model=mlp",
            "--model_options=hidden=(8, 8); dropout=0",
            "--steps=2",
            "--profile=8:4:2:1",
            f"--workdir={tmp_path_factory.mktemp('program') / 'run'}",
        ],
    }
    command = [sys.executable, "-m", "experiments.run"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    root = Path(__file__).parents[1]
    running = [subprocess.Popen(command + call, cwd=root, **options) for call in calls.values()]
    ended = [(*program.communicate(timeout=120), program.returncode) for program in running]
    return dict(zip(calls, ended, strict=True))


def parse(argv):
    edge.parse_flags(argv, run_help)


def error_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_each_field_is_a_flag_with_its_default(defined):
    for name, field in FIELDS.items():
        assert defined[name].default == field.default
        assert defined[name].help == field.metadata["help"]


def test_no_flags_give_the_default_config(defined):
    parse(["run"])
    assert edge.options_from_flags(RunOptions) == RunOptions.of()


def test_flags_become_a_config_of_the_right_types(defined):
    parse(
        [
            "run",
            "--model=mlp",
            *("--steps", "3"),
            "--learning_rate=1e-2",
            "--components=0",
            "--train_fraction=.25",
            "--profile=2:1",
            "--overwrite",
            "--workdir=runs/a b",
        ]
    )
    assert edge.options_from_flags(RunOptions) == RunOptions.of(
        model="mlp",
        steps=3,
        learning_rate=0.01,
        components=0,
        train_fraction=0.25,
        profile="2:1",
        overwrite=True,
        workdir="runs/a b",
    )


@pytest.mark.parametrize("argument", ["--help", "-help", "-h", "--helpshort"])
def test_help_is_printed_whatever_else_is_asked(argument, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(["run", "--nosuchflag=1", argument])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == run_help() + "\n"


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--nosuchflag=1", "nosuchflag"),
        ("--batch_size=many", "--batch_size=many"),
        ("--batch_size=1.5", "--batch_size=1.5"),
        ("--learning_rate=fast", "--learning_rate=fast"),
        ("synthetic", "'synthetic' is not a flag"),
    ],
)
def test_a_flag_that_cannot_be_parsed_is_one_line(defined, argument, named, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(["run", argument])
    assert stopped.value.code == 2
    assert named in error_line(capsys)


def test_a_message_of_several_lines_becomes_one(capsys):
    with pytest.raises(SystemExit):
        edge.fail("one\n  two\n")
    assert error_line(capsys) == "error: one two\n"


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
        name: field.metadata["group"] for name, field in FIELDS.items()
    }
    groups = re.findall(r"^([A-Z]\w+):$", run_help(), flags=re.MULTILINE)
    assert groups == ["Data", "Split", "Model", "Devices", "Training", "Checkpoints", "Output"]


def test_the_help_tells_choices_and_defaults():
    entries = {name: text for name, (_, text) in help_entries().items()}
    for name, field in FIELDS.items():
        assert entries[name].startswith(field.metadata["help"])
        assert ", ".join(field.metadata["choices"]) in entries[name]
        number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
        if number or field.metadata["choices"]:
            assert entries[name].endswith(f" [{field.default}]")


def test_the_help_tells_the_presets():
    text = " ".join(run_help().split())
    for name, speeds in PRESETS.items():
        assert f"{name} ({':'.join(map(str, speeds))})" in text


def test_the_help_fits_a_terminal():
    lines = run_help().splitlines()
    assert len(lines) <= 125
    assert max(map(len, lines)) <= 100


@pytest.mark.slow
def test_the_program_prints_its_help(programs):
    assert programs["help"] == (run_help() + "\n", "", 0)


@pytest.mark.slow
def test_the_program_ends_with_one_line_on_a_value_that_is_no_choice(programs):
    names = ", ".join([*SCENES, *IMAGE_SETS])
    message = f"error: --dataset=nope: choose one of {names}; or tfds:NAME of TensorFlow Datasets\n"
    assert programs["choice"] == ("", message, 2)


@pytest.mark.slow
def test_the_program_ends_with_one_line_on_an_unknown_flag(programs):
    out, err, code = programs["unknown"]
    assert (out, code) == ("", 2)
    assert re.fullmatch(r"error: .*nosuchflag.*\n", err)


@pytest.mark.slow
def test_the_program_emulates_the_devices_it_needs(programs):
    out, err, code = programs["run"]
    assert (err, code) == ("", 0)
    folder = Path(re.search(r"^Results: (.*)$", out, flags=re.MULTILINE)[1])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["speeds"] == [8, 4, 2, 1]
    assert (summary["num_devices"], summary["steps"]) == (4, 2)
    assert json.loads((folder / "config.json").read_text())["profile"] == "8:4:2:1"


@pytest.mark.parametrize(("given", "size"), [("auto", "auto"), ("8", 8)])
def test_the_microbatch_size_is_a_number_or_auto(given, size, defined):
    parse(["run", f"--microbatch_size={given}"])
    assert edge.options_from_flags(RunOptions).microbatch_size == size


@pytest.mark.parametrize("path", PRESET_FILES, ids=lambda path: path.stem)
def test_a_preset_is_a_sound_configuration(path, defined):
    parse(["run", f"--flagfile={path}", "--seed=3"])
    options = edge.options_from_flags(RunOptions)
    # Of a data set and a model, or of a model alone.
    assert options.data.dataset == "synthetic" or path.stem.startswith(options.data.dataset)
    assert path.stem.endswith(options.model.model)
    assert options.recipe.seed == 3


def test_there_are_presets():
    assert len(PRESET_FILES) == 7


PATHS = ("data_dir", "cube", "labels", "split", "profile", "workdir")


def test_the_home_folder_may_be_written_short_in_every_path(defined, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert {name for name, field in FIELDS.items() if field.metadata["path"]} >= set(PATHS)
    parse(["run", "--dataset=file", *(f"--{name}=~/{name}" for name in PATHS[1:])])
    options = edge.options_from_flags(RunOptions)
    for name in PATHS[1:]:
        assert values(options)[name] == f"/home/me/{name}"


def test_a_home_folder_that_is_not_there_is_told(defined):
    parse(["run", "--workdir=~nobody_of_this_name/x"])
    with pytest.raises(InputError, match="--workdir=~nobody_of_this_name/x"):
        edge.options_from_flags(RunOptions)


@pytest.mark.parametrize("first", ["--model=mlp", "# a comment", "// another", ""])
def test_a_flag_file_of_windows_is_read(first, tmp_path, defined):
    path = tmp_path / "windows.flags"
    lines = [first, "--model=mlp", "--steps=5", "", "   --seed=3"]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    parse(["run", f"--flagfile={path}", "--batch_size=7"])
    options = edge.options_from_flags(RunOptions)
    assert (
        options.model.model,
        options.recipe.steps,
        options.recipe.seed,
        options.recipe.batch_size,
    ) == ("mlp", 5, 3, 7)


def test_a_flag_file_that_is_no_text_is_one_line(tmp_path, defined, capsys):
    (tmp_path / "utf16.flags").write_bytes("--model=mlp\n".encode("utf-16"))
    with pytest.raises(SystemExit):
        parse(["run", f"--flagfile={tmp_path / 'utf16.flags'}"])
    assert "UTF-8" in error_line(capsys)
