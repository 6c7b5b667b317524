"""Reads a file while another process writes it."""

from pathlib import Path


class Follower:
    """Reads a file, which may come into being later or be written anew, as it grows.

    Args:
        path: of the file.
        skip: whether to leave out what is in it already.
    """

    def __init__(self, path: Path, skip: bool = False):
        self._path = path
        self._first = self._stamp()
        self._offset = self._size() if skip and self._first else 0

    def has_changed(self) -> bool:
        """Whether the file has come into being, or has been written."""
        return self._stamp() != self._first

    def read_lines(self) -> list[str]:
        """The lines that have been completed since the last call."""
        size = self._size()
        if size is None:
            return []
        if size < self._offset:
            self._offset = 0
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            added = file.read()
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.decode(errors="replace").splitlines()

    def _stamp(self) -> tuple[int, ...] | None:
        if not self._path.exists():
            return None
        status = self._path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _size(self) -> int | None:
        return self._path.stat().st_size if self._path.exists() else None
