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
        self._offset = path.stat().st_size if skip and path.exists() else 0

    def read_lines(self) -> list[str]:
        """The lines that were completed since the last call."""
        if not self._path.exists():
            return []
        if self._path.stat().st_size < self._offset:
            self._offset = 0
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            added = file.read()
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.decode(errors="replace").splitlines()
