"""Reads a file while another process writes it."""

from pathlib import Path


class Tail:
    """Reads a file as it grows, like `tail -f`. The file may appear later or be written anew.

    Args:
        path: of the file.
        skip: whether to leave out what the file holds already.
    """

    def __init__(self, path: Path, skip: bool = False):
        self._path = path
        self._first = self._stamp()
        self._offset = self._first[-1] if skip and self._first else 0

    def has_changed(self) -> bool:
        """Whether the file has appeared, or has been written."""
        return self._stamp() != self._first

    def read_lines(self) -> list[str]:
        """The lines that were completed since the last call."""
        stamp = self._stamp()
        if stamp is None:
            return []
        if stamp[-1] < self._offset:
            self._offset = 0
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            added = file.read()
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.decode(errors="replace").splitlines()

    def _stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file does; its size, bytes, comes last. None if there is no file."""
        if not self._path.exists():
            return None
        status = self._path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
