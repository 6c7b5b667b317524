import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hsi_jax.errors import InputError, StorageError
from hsi_jax.run import RunFolder
from hsi_jax.run.lock import locked, new_folder

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from hsi_jax.run.lock import locked
with locked(sys.argv[1]):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == b"mine\n"
        yield process
        process.kill()


def claim(path):
    with locked(path):
        return sorted(entry.name for entry in path.iterdir())


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path, holder):
    with pytest.raises(InputError, match=f"in use by process {holder.pid}"):
        claim(tmp_path / "run")
    holder.stdin.close()
    holder.wait()
    assert not (tmp_path / "run").exists()  # nothing was put there


def test_a_kill_leaves_no_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    RunFolder(tmp_path / "run").start({"seed": 1})  # the file alone is no earlier run
    assert "config.json" in claim(tmp_path / "run")
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_folder_that_was_there_or_holds_something_stays(tmp_path):
    claim(tmp_path)
    assert tmp_path.is_dir()
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()


def try_often(path, turns):
    """Counts who is in the folder; gives how often there was another."""
    seen = 0
    for _ in range(turns):
        try:
            with locked(path):
                mark = Path(f"{path}.mark")
                seen += mark.exists()
                mark.touch()
                mark.unlink()
        except InputError:
            pass
    return seen


def test_there_is_never_more_than_one(tmp_path):
    """Also while the folder and the file of the lock come and go."""
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        seen = pool.starmap(try_often, [(tmp_path / "run", 300)] * 3)
    assert seen == [0, 0, 0]


def test_folders_that_are_made_at_one_moment_differ(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_folder(tmp_path / "runs" / "now"), range(8)))
    assert len(set(made)) == 8
    assert all(path.is_dir() for path in made)
    assert tmp_path / "runs" / "now" in made
    assert tmp_path / "runs" / "now-8" in made


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(InputError, match="cannot be made"):
        new_folder(tmp_path / "runs" / "now")


def test_a_lock_that_is_a_link_empties_no_other_file(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    other.write_text("mine")
    (run / ".lock").symlink_to(other)
    with pytest.raises(StorageError), locked(run):
        pass
    assert other.read_text() == "mine"
