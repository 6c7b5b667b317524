import json

import pytest

from hsi_jax.commands import datasets
from hsi_jax.data import CATALOGUE, IMAGE_CATALOGUE


@pytest.fixture
def listing(capsys):
    def run(*flags):
        datasets.main(["datasets", *flags])
        return capsys.readouterr().out

    return run


def test_every_scene_and_set_is_listed_with_what_is_known(listing):
    entries = {entry["name"]: entry for entry in json.loads(listing("--json"))}
    assert entries.keys() == CATALOGUE.keys() | IMAGE_CATALOGUE.keys()
    pines, eurosat = entries["indian_pines"], entries["eurosat"]
    assert (pines["shape"], pines["classes"]) == ([145, 145, 200], 16)
    assert pines["terms"] == "not stated"
    assert pines["found"] is None
    assert (eurosat["images"], eurosat["terms"]) == (27_000, "MIT")
    text = listing()
    assert all(f"\n{name} " in text and f"\n  {name} " in text for name in entries)
    assert "found" not in text


def test_files_are_found_where_run_would_find_them(listing, tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("SalinasA_corrected.mat", "SalinasA_gt.mat"):
        (tmp_path / "below" / name).touch()
    (tmp_path / "Salinas_corrected.mat").touch()  # without its labels
    (tmp_path / "EuroSAT.zip").touch()
    (tmp_path / "NWPU-RESISC45.rar").touch()
    (tmp_path / "hsi_jax_scenes" / "ksc").mkdir(parents=True)
    entries = json.loads(listing("--json", f"--data_dir={tmp_path}"))
    assert {entry["name"]: entry["found"] for entry in entries} == {
        **dict.fromkeys([*CATALOGUE, *IMAGE_CATALOGUE], "not there"),
        "salinas_a": str(tmp_path / "below"),
        "ksc": "prepared by TFDS",
        "eurosat": str(tmp_path / "EuroSAT.zip"),
        "resisc45": "packed as .rar",
    }
    assert str(tmp_path / "below") in listing(f"--data_dir={tmp_path}")


def test_a_folder_that_is_not_there_is_named(capsys, tmp_path):
    with pytest.raises(SystemExit):
        datasets.main(["datasets", f"--data_dir={tmp_path / 'none'}"])
    assert "none" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["salinas_a", "indian_pines"])
def test_real_files_are_found(name, real_data, listing):
    entries = json.loads(listing("--json", f"--data_dir={real_data}"))
    found = {entry["name"]: entry["found"] for entry in entries}
    assert found[name] != "not there"
