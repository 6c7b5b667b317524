"""One process at a time in a folder of results, by a lock that no crash leaves behind.

The package filelock empties the file when it asks for the lock, so that who has it cannot be named,
and fails where a file system has no locks (tests/run/test_lock.py).
"""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from hsi_jax.errors import InputError, StorageError

NAME = ".lock"
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # a link would have another file emptied

# File systems that are mounted without locks say one of these.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(path: str | Path, fresh: bool = False) -> Iterator[None]:
    """Keeps a folder to this process; makes it, and removes it again if nothing was put there.

    The kernel gives the lock back when the process ends, however it ends. Where the file system
    has no locks, a warning says so.

    Args:
        path: of the folder.
        fresh: whether it was made for this (`new_folder`), and is not to stay empty.

    Raises:
        InputError: if another process has the folder.
        StorageError: if it cannot be made.
    """
    path = Path(path)
    fresh = fresh or not path.exists()
    try:
        file = _open_locked(path)
    except OSError as error:
        raise StorageError(f"`workdir`={path} cannot be written: {error}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (path / NAME).unlink()
        os.close(file)  # after the name is gone, so that nobody locks a file that is to go
        if fresh:
            remove_empty(path)


def new_folder(path: str | Path) -> Path:
    """Makes a folder that was not there: of this path, or with -2, -3 and so on behind it.

    Raises:
        InputError: if none can be made there.
    """
    path, number = Path(path), 1
    while True:
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError as error:
            if not candidate.exists():  # a file is where a folder above it should be
                raise InputError(f"`workdir`={path} cannot be made: {error}") from None
            number += 1
        except OSError as error:
            raise InputError(
                f"`workdir`={path} cannot be made: {error}; choose another folder"
            ) from None


def remove_empty(path: Path) -> None:
    """Removes a folder, unless it holds something."""
    with contextlib.suppress(OSError):
        path.rmdir()


def _open_locked(path: Path) -> int:
    """The descriptor of the folder's lock file, locked."""
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            if not path.parent.is_dir() or (os.path.lexists(path) and not path.is_dir()):
                raise
            continue  # its owner has removed it while it was being made
        try:
            file = os.open(path / NAME, os.O_RDWR | os.O_CREAT | NOFOLLOW, 0o666)
        except FileNotFoundError:  # its owner has just removed the folder
            continue
        try:
            _lock(file, path)
            if _is_at(file, path / NAME):
                os.truncate(file, 0)
                os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether the path still names the open file, which its owner may have removed meanwhile."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _lock(file: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(file, 200).decode(errors="replace").strip() or "another process"
        raise InputError(
            f"`workdir`={path} is in use by {owner}; wait for its end, or choose another folder"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning(
            "%s cannot be locked (%s); let no other process write there meanwhile.", path, error
        )
