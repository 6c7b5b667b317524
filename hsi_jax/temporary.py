"""Temporary folders of which none stays for ever: what a killed process left, the next removes.

`tempfile.TemporaryDirectory` leaves its folder where the process is killed, or ends at once because
another one was lost.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where folders of killed processes stay
    fcntl = None

PREFIX = "hsi_jax-"
LOCK = ".lock"  # held as long as its process lives, in whatever container


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new folder, removed at the end; first removes this user's abandoned ones.

    It holds one file, `LOCK`.

    Raises:
        OSError: if it cannot be made.
    """
    remove_abandoned(Path(tempfile.gettempdir()))
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with open(path / LOCK, "w", encoding="utf-8") as lock:
            _take(lock.fileno())
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_abandoned(root: Path) -> None:
    """Removes the folders below `root` whose processes are gone; those of other users stay."""
    if fcntl is None:
        return
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it has no lock, or is locked, or has just gone
            facts = folder.lstat()
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                _take(lock)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _take(file: int) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
