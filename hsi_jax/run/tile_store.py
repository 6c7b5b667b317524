"""Arrays of a map that are written tile by tile, so that a program that was killed can go on."""

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.errors import InputError, StorageError
from hsi_jax.json_file import read_json, write_json

_FACTS, _DONE = "facts.json", "done.json"
STRIP_BYTES = 2**22

Layout = tuple[tuple[int, ...], str]  # shape and dtype


class TileStore:
    """A folder of raw arrays [rows, columns, ...] that are filled tile by tile, in order.

    Attributes:
        done: tiles that are on the disk.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], layouts: Mapping[str, Layout]):
        """Begins the folder, or goes on in it.

        Args:
            folder: of the arrays.
            facts: what decides them, as JSON can hold it; tiles are only added to equal ones.
            layouts: shape and dtype of each array.

        Raises:
            InputError: if the folder was begun with other facts.
            StorageError: if it cannot be written.
        """
        self.folder = folder
        self._layouts = dict(layouts)
        known = {**facts, "arrays": {name: [list(s), d] for name, (s, d) in layouts.items()}}
        with _writing(folder):
            if not (folder / _FACTS).exists():
                self._begin(known)
        if (before := read_json(folder / _FACTS)) != known:
            differing = [name for name in known if before.get(name) != known[name]]
            raise InputError(
                f"{folder} is an unfinished map of another prediction (it differs in "
                f"{', '.join(differing) or 'its format'}); give the same arguments to go on with "
                f"it, or `overwrite` to begin anew"
            )
        self.done = int(read_json(folder / _DONE)["tiles"])

    def _begin(self, facts: dict) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, (shape, dtype) in self._layouts.items():
            with open(self.folder / name, "wb") as file:
                file.truncate(math.prod(shape) * np.dtype(dtype).itemsize)
        write_json(self.folder / _DONE, {"tiles": 0})
        write_json(self.folder / _FACTS, facts)  # last: with it the folder counts

    def write(self, rows: slice, columns: slice, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes the next tile; it counts when all of it is on the disk.

        Args:
            rows: of the tile.
            columns: of the tile.
            arrays: of every name, [rows, columns, ...].

        Raises:
            StorageError: if it cannot be written.
        """
        with _writing(self.folder):
            for name, array in arrays.items():
                self._write(name, rows.start, columns.start, array)
            write_json(self.folder / _DONE, {"tiles": self.done + 1})
        self.done += 1

    def _write(self, name: str, first_row: int, first_column: int, array: np.ndarray) -> None:
        shape, dtype = self._layouts[name]
        pixel = math.prod(shape[2:]) * np.dtype(dtype).itemsize
        with open(self.folder / name, "r+b") as file:
            for number, row in enumerate(np.ascontiguousarray(array, dtype)):
                file.seek(((first_row + number) * shape[1] + first_column) * pixel)
                file.write(row.data)
            file.flush()
            os.fsync(file.fileno())

    def strips(self, name: str) -> Iterator[np.ndarray]:
        """An array from its first row to its last, some rows at a time."""
        (rows, *rest), dtype = self._layouts[name]
        row = math.prod(rest)
        step = max(1, STRIP_BYTES // (row * np.dtype(dtype).itemsize))
        with open(self.folder / name, "rb") as file:
            for start in range(0, rows, step):
                count = min(step, rows - start)
                yield np.fromfile(file, dtype, count * row).reshape(count, *rest)

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.folder)


class _writing:
    """Says which folder cannot be written."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, OSError):
            raise StorageError(f"{self._folder} cannot be written: {error}") from None
