import subprocess
import sys
import tempfile

import pytest

from hsi_jax import temporary
from hsi_jax.temporary import remove_abandoned, temporary_folder


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_until_the_end(root):
    with temporary_folder() as folder:
        assert folder.parent == root
        (folder / "file").touch()
        remove_abandoned(root)
        assert (folder / "file").exists()
    assert not folder.exists()


@pytest.mark.skipif(temporary.fcntl is None, reason="locks of Unix")
def test_what_a_killed_process_left_is_removed_by_the_next(root):
    program = (
        "import os, signal, sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from hsi_jax.temporary import temporary_folder\n"
        "with temporary_folder() as folder:\n"
        "    (folder / 'file').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], check=False)
    (left,) = root.iterdir()
    assert (left / "file").exists()
    kept = root / "hsi_jax-launch-logs"  # has no lock: it was kept on purpose
    kept.mkdir()
    with temporary_folder() as folder:
        assert set(root.iterdir()) == {folder, kept}
