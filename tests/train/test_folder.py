import json

import numpy as np
import pytest

from hsi_jax.errors import InputError
from hsi_jax.train import RunFolder
from hsi_jax.train.folder import RESULTS


def test_results_come_back(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.start({"seed": 1})
    folder.append_metrics({"step": 0, "loss": 0.1})
    folder.append_metrics({"step": 1, "loss": 0.2})
    folder.write_arrays("prediction.npz", truth=np.arange(3))
    assert json.loads((folder.path / "config.json").read_text()) == {"seed": 1}
    assert folder.read_metrics() == [{"step": 0, "loss": 0.1}, {"step": 1, "loss": 0.2}]
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
    with pytest.raises(InputError, match=r"already holds config.json; .* --overwrite"):
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


def test_a_path_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run")
