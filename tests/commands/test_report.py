"""The command that makes the page about runs."""

import json
import shlex

import pytest

from hsi_jax.commands import report as command
from hsi_jax.commands.report import main, repeat_commands
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.options import values
from hsi_jax.run import RunFolder
from hsi_jax.session.flags import parse_run
from hsi_jax.session.options import RunOptions
from tests.session.runs import run


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that was killed at once."""
    made = RunFolder(tmp_path / "killed")
    made.start({"dataset": "synthetic", "steps": 3})
    return made.path


@pytest.fixture
def make(monkeypatch, tmp_path):
    """Calls the command in an empty folder; returns its exit code and where it writes."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def _make(*arguments):
        try:
            main(["report", *map(str, arguments)])
        except SystemExit as end:
            return end.code
        return 0

    return _make


def test_it_writes_one_page_and_again(make, folder, tmp_path, capsys):
    for _ in range(2):
        assert make(folder) == 0
        assert [path.name for path in (tmp_path / "here").iterdir()] == ["report.html"]
    printed = capsys.readouterr().out
    assert "no summary.json" in printed
    assert "Report: report.html" in printed
    assert make(folder, "--output", "other.html") == 0
    assert (tmp_path / "here" / "other.html").exists()


def test_the_home_folder_may_be_written_short(make, folder, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert make("~/killed", "~nobody-of-this-name/killed") == 2
    assert "home" in capsys.readouterr().err
    assert make("~/killed") == 0


def test_another_file_is_not_overwritten(make, folder, tmp_path, capsys):
    page = tmp_path / "here" / "report.html"
    page.write_text("mine")
    assert make(folder) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert page.read_text() == "mine"
    assert make(folder, "--overwrite") == 0
    # A report of other runs is another file as well.
    other = RunFolder(tmp_path / "another")
    other.start({})
    assert make(other.path) == 2
    assert "killed" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "folder of a run"),
        (["nowhere"], "nowhere"),
        (["{folder}", "--output=nowhere/report.html"], "--output"),
        (["{folder}", "--output=."], "--output"),
        (["{folder}", "--colour=red"], "colour"),
    ],
)
def test_a_mistake_is_told_in_one_line(make, folder, tmp_path, capsys, arguments, word):
    assert make(*(text.format(folder=folder) for text in arguments)) == 2
    error = capsys.readouterr().err
    assert word in error
    assert error.count("\n") == 1
    assert list((tmp_path / "here").iterdir()) == []


def test_an_interruption_leaves_no_half_page(make, folder, tmp_path, monkeypatch, capsys):
    make(folder)
    before = (tmp_path / "here" / "report.html").read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.os, "replace", interrupt)
    assert make(folder) == 130
    assert "interrupted" in capsys.readouterr().err
    assert (tmp_path / "here" / "report.html").read_bytes() == before
    assert len(list((tmp_path / "here").iterdir())) == 1


@pytest.mark.parametrize("name", ["wo\udc80od", "a\nb", "x" * 200, "-- 'q' \"d\" $HOME"])
def test_folders_of_any_name_have_a_page(make, tmp_path, name):
    made = RunFolder(tmp_path / "runs" / name)
    made.start({"dataset": "half \ud800 a pair"})
    assert make(made.path) == 0
    assert (tmp_path / "here" / "report.html").read_text(encoding="utf-8")


def test_the_command_repeats_the_options(tmp_path):
    options = {
        "dataset": "file",
        "cube": "my scene's cube.npy",
        "labels": "labels.npy",
        "learning_rate": 0.02,
        "steps": 7,
        "time_devices": True,
        "seed": 5,
    }
    done = RunOptions.of(**options, workdir="somewhere", overwrite=True)
    folder = RunFolder(tmp_path / "run")
    folder.start(json.loads(json.dumps(values(done))))
    (line,) = repeat_commands(read_run(folder.path))
    program, *given = shlex.split(line)[2:]
    assert program == "experiments.run"
    assert parse_run(given) == RunOptions.of(**options)


@pytest.mark.slow
def test_a_finished_run_has_a_whole_page(make, tmp_path, capsys):
    options = RunOptions.of(
        steps=2,
        model="mlp",
        model_options="hidden=(8, 8); dropout=0",
        workdir=str(tmp_path / "run"),
    )
    run(options)
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert make(tmp_path / "run", f"--output={page}") == 0
    assert capsys.readouterr().out == f"Report: {page}\n"
    text = page.read_text(encoding="utf-8")
    assert "Not in this report" not in text
    for words in ("Map and classes", "Spectra of the classes", "Confusion matrix"):
        assert words in text
