"""What is said of files that are not what they seem."""

import gzip

import numpy as np
import pytest

from hsi_jax.data import file_scene, read_array
from hsi_jax.errors import InputError


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "page of a web server"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5 file; rename it to end in .h5"),
        (b"\x93NUM", "damaged"),
    ],
)
def test_a_file_is_told_by_its_content(content, words, tmp_path):
    path = tmp_path / "gt.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_array(path, ndim=2)


@pytest.mark.parametrize("suffix", [".mat", ".npz", ".tif"])
def test_a_wrong_suffix_is_named(suffix, tmp_path):
    np.save(tmp_path / "cube.npy", np.ones((3, 4, 5)))
    path = (tmp_path / "cube.npy").rename(tmp_path / f"cube{suffix}")
    with pytest.raises(InputError, match=r"a \.npy file; rename it to end in \.npy"):
        file_scene(path)


def test_what_is_no_file_is_told(tmp_path):
    link, folder = tmp_path / "link.npy", tmp_path / "folder.npy"
    link.symlink_to(tmp_path / "gone.npy")
    folder.mkdir()
    for path, words in ((link, r"link to .*gone"), (folder, "folder"), ("no.npy", "no file no")):
        with pytest.raises(InputError, match=words):
            file_scene(path)


def test_a_list_of_files_longer_than_a_name_may_be(tmp_path):
    paths = ",".join(str(tmp_path / f"B{number}.tif") for number in range(99))
    with pytest.raises(InputError, match=r"B0\.tif"):
        file_scene(paths)
