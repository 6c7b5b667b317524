import hashlib
import json
import os
import sys

import pytest

from hsi_jax.run.manifest import NAME, find_damage, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "data").write_bytes(bytes(range(256)))
    (tmp_path / "facts.json").write_text("{}")
    (tmp_path / "nothing").touch()
    write_manifest(tmp_path)
    return tmp_path


def test_what_was_written_is_sound(folder):
    assert find_damage(folder) == ""
    listed = json.loads((folder / NAME).read_text())["sha256"]
    assert set(listed) == {"a/data", "facts.json", "nothing"}
    # Of the empty file, as sha256sum gives it.
    assert listed["nothing"].startswith("e3b0c44298fc1c149afbf4c8996fb924")


def test_every_flipped_bit_is_noticed(folder):
    path = folder / "a" / "data"
    whole = path.read_bytes()
    for bit in (0, 1, 1000, 8 * len(whole) - 1):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert find_damage(folder) == "data is not what was written"
    path.write_bytes(whole)
    assert find_damage(folder) == ""


def test_a_cut_or_missing_file_is_noticed(folder):
    (folder / "a" / "data").write_bytes(b"\0")
    assert find_damage(folder) == "data is not what was written"
    (folder / "nothing").unlink()
    assert find_damage(folder) == "data is not what was written, and 1 more files"
    (folder / "a" / "data").unlink()
    assert find_damage(folder) == "data is missing, and 1 more files"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"sha256": 3}', '{"sha256": {}}', '{"sha256": {"a/data": 3}}', "\0"],
)
def test_a_manifest_that_is_none_is_damage(folder, text):
    (folder / NAME).write_text(text)
    assert find_damage(folder).startswith(f"its {NAME} cannot be read")


def test_without_a_manifest_nothing_is_sound(folder):
    (folder / NAME).unlink()
    assert find_damage(folder) == f"it has no {NAME}"


def test_what_is_needed_must_be_listed(folder):
    assert find_damage(folder, ["facts.json", "a/data"]) == ""
    assert "other.json" in find_damage(folder, ["other.json"])


def pipe(path, outside):
    os.mkfifo(path)


def endless(path, outside):
    path.symlink_to("/dev/zero")


def elsewhere(path, outside):
    outside.write_bytes(bytes(range(256)))
    path.symlink_to(outside)


@pytest.mark.skipif(sys.platform != "linux", reason="pipes and devices of Linux")
@pytest.mark.parametrize("place", [pipe, endless, elsewhere])
@pytest.mark.parametrize("name", ["a/data", NAME, "a/unlisted"])
def test_pipes_devices_and_links_to_other_places_are_not_read(
    folder, tmp_path_factory, place, name
):
    outside = tmp_path_factory.mktemp("outside") / "data"
    (folder / name).unlink(missing_ok=True)
    place(folder / name, outside)
    assert find_damage(folder)


def test_names_that_lead_out_of_the_folder_are_not_read(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "data"
    outside.touch()
    for name in (str(outside), f"../{outside.parent.name}/data"):
        listed = {name: hashlib.sha256(b"").hexdigest()}
        (folder / NAME).write_text(json.dumps({"sha256": listed}))
        assert "no file of this folder" in find_damage(folder)
