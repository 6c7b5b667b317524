import json
import os
import resource

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.run import RunFolder
from hsi_jax.run.folder import RESULTS
from hsi_jax.run.records import Step


def record(step, loss=0.5):
    return Step(step=step, loss=loss, learning_rate=0.1, seconds=1.0, step_seconds=0.5)


def test_results_come_back(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.start({"seed": 1})
    folder.append_record(record(0, 0.1))
    folder.append_record(record(1, 0.2))
    folder.write_arrays("prediction.npz", truth=np.arange(3))
    assert json.loads((folder.path / "config.json").read_text()) == {"seed": 1}
    assert folder.read_records() == [record(0, 0.1), record(1, 0.2)]
    with np.load(folder.path / "prediction.npz") as arrays:
        assert arrays["truth"].tolist() == [0, 1, 2]


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_json("summary.json", {"kappa": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_json("summary.json", {"kappa": float("nan")})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"kappa": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


def test_an_earlier_run_is_replaced_only_on_request_and_only_at_the_start(tmp_path):
    RunFolder(tmp_path).start({"run": 1})
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"config\.json.*overwrite"):
        RunFolder(tmp_path)
    folder = RunFolder(tmp_path, overwrite=True)
    assert (tmp_path / "summary.json").exists()
    folder.start({"run": 2})
    assert json.loads((tmp_path / "config.json").read_text()) == {"run": 2}
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "notes.txt",
    }
    assert {"config.json", "metrics.jsonl"} <= set(RESULTS)


def test_a_folder_of_other_things_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"thesis.tex but no config.json"):
        RunFolder(tmp_path, overwrite=True)
    with pytest.raises(InputError) as caught:
        RunFolder(tmp_path)
    assert "resume" not in str(caught.value)  # there is no run to go on with


def test_a_path_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run")


def test_a_run_goes_on_with_the_records_that_are_kept(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({"seed": 1})
    for step in range(4):
        folder.append_record(record(step))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"st')
    (tmp_path / "summary.json").write_text("{}")
    again = RunFolder.of_run(tmp_path)
    again.go_on({"seed": 2}, lambda record: record.step < 3)
    again.append_record(record(3))
    assert again.read_records() == [record(step) for step in range(4)]
    assert again.read_config() == {"seed": 2}
    assert (tmp_path / "summary.json").exists()


def test_only_the_folder_of_a_run_is_gone_on_with(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        RunFolder.of_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config.json is not a JSON file"):
        RunFolder.of_run(tmp_path).read_config()


def test_lines_that_find_no_room_are_written_later(tmp_path, caplog):
    folder = RunFolder(tmp_path)
    folder.start({})
    folder.append_record(record(0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for half a line more.
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "metrics.jsonl").stat().st_size + 5, -1))
    try:
        folder.append_record(record(1))
        folder.append_record(record(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert folder.read_records() == [record(0)]
    assert len(caplog.records) == 1
    assert "training goes on: [Errno 27] File too large" in caplog.text
    folder.append_record(record(3))
    assert folder.read_records() == [record(step) for step in range(4)]


def test_a_configuration_that_is_no_object_is_refused(tmp_path):
    RunFolder(tmp_path).start({})
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(InputError, match=r"config\.json"):
        RunFolder.of_run(tmp_path).read_config()


@pytest.mark.parametrize("loss", ["1e999", "1e300", "1" + "0" * 400])
def test_a_loss_that_no_training_has_is_no_record(tmp_path, loss):
    folder = RunFolder(tmp_path)
    folder.start({})
    folder.append_record(record(0))
    line = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(line + line.replace("0.5,", f"{loss},", 1))
    assert folder.read_records() == [record(0)]
    folder.go_on({}, keep=lambda record: True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of Unix")
def test_pipes_and_links_in_a_folder_are_neither_read_nor_written(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    folder = RunFolder(run)
    folder.start({})
    other.write_text("mine")
    (run / "metrics.jsonl").unlink()
    os.mkfifo(run / "metrics.jsonl")
    (run / ".metrics.jsonl.partial").symlink_to(other)
    os.mkfifo(run / ".config.json.partial")
    assert folder.read_records() == []
    folder.go_on({"a": 1}, keep=lambda record: True)
    assert folder.read_config() == {"a": 1}
    assert (run / "metrics.jsonl").is_file()
    assert other.read_text() == "mine"
