import hashlib

import numpy as np
import pytest

from hsi_jax.data.public import download as module
from hsi_jax.data.public.download import check_space, download
from hsi_jax.errors import InputError

DATA = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "file.bin"


@pytest.fixture(autouse=True)
def served(server):
    server.files["file.bin"] = DATA
    return server


@pytest.mark.parametrize("sha256", [SHA256, ""])
def test_a_file_arrives_whole_and_is_fetched_once(server, target, sha256):
    assert download([server.url("file.bin")], target, sha256) == target
    download([server.url("file.bin")], target, sha256)
    assert target.read_bytes() == DATA
    assert [entry.name for entry in target.parent.iterdir()] == ["file.bin"]
    assert len(server.requests) == 1


def test_after_a_cut_the_rest_is_fetched(server, target):
    server.cuts = [1_000_000, 500_000]
    download([server.url("file.bin")], target, SHA256)
    assert target.read_bytes() == DATA
    assert [asked for _, asked in server.requests] == [None, "bytes=1000000-", "bytes=1500000-"]


@pytest.mark.parametrize(("sha256", "ranges"), [("", True), (SHA256, False)])
def test_after_a_cut_all_is_fetched_again(server, target, sha256, ranges):
    """Without a checksum nobody would notice a wrong seam; some servers cannot go on."""
    server.cuts, server.ranges = [1_000_000], ranges
    download([server.url("file.bin")], target, sha256)
    assert target.read_bytes() == DATA
    assert len(server.requests) == 2


@pytest.mark.parametrize("sha256", [SHA256, ""])
def test_a_half_file_never_has_the_name_of_the_whole(server, target, sha256):
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(InputError, match=r"file\.bin.* 1000"):
        download([server.url("file.bin")], target, sha256)
    assert not target.exists()
    download([server.url("file.bin")], target, sha256)  # a later call
    assert target.read_bytes() == DATA
    assert server.requests[-1][1] == ("bytes=3000-" if sha256 else None)


def test_a_part_of_another_file_is_thrown_away(server, target):
    target.parent.mkdir()
    part = target.with_name("file.bin.part")
    part.write_bytes(b"x" * 1000)
    download([server.url("file.bin")], target, SHA256)
    assert target.read_bytes() == DATA
    part.write_bytes(b"x" * (len(DATA) + 1))  # longer than the file: the server refuses the range
    target.unlink()
    download([server.url("file.bin")], target, SHA256)
    assert target.read_bytes() == DATA


def test_a_wrong_checksum_is_refused(server, target):
    server.files["file.bin"] = DATA[:-1] + b"?"
    with pytest.raises(InputError, match="checksum"):
        download([server.url("file.bin")], target, SHA256)
    assert list(target.parent.iterdir()) == []


def test_a_file_that_is_there_is_checked(server, target):
    target.parent.mkdir()
    target.write_bytes(DATA[:-1])
    with pytest.raises(InputError, match=r"file\.bin.*checksum.*delete"):
        download([server.url("file.bin")], target, SHA256)
    assert target.read_bytes() == DATA[:-1]
    assert server.requests == []


def test_a_mirror_helps_and_all_failures_are_named(server, target):
    wrong, right = server.url("gone.bin"), server.url("file.bin")
    with pytest.raises(InputError, match=r"gone\.bin"):
        download([wrong], target, SHA256)
    download([wrong, right], target, SHA256)
    assert target.read_bytes() == DATA


def test_a_missing_server_is_reported_at_once(server, target):
    server.shutdown()  # or a call that it still waits for is taken, and cut off
    server.server_close()
    with pytest.raises(InputError, match="refused"):
        download([server.url("file.bin")], target, SHA256)


def test_a_full_disk_is_reported_before_the_download(server, target, monkeypatch):
    usage = module.shutil.disk_usage(target.parents[1])._replace(free=len(DATA) - 1)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match="3 MB"):
        download([server.url("file.bin")], target, SHA256)
    check_space(target, len(DATA) - 1, "It")
