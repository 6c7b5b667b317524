"""Arrays that do not fit in memory, filled tile by tile in a folder, by one process or many.

Each tile is a file that has its name only when it is whole, so whoever is killed leaves nothing
half done, and two processes that make the same tile do no harm: its bytes are the same.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.errors import InputError, StorageError
from hsi_jax.json_file import read_json

FACTS, TILES, CLAIMS = "facts.json", "tiles", "claims"
STRIP_BYTES = 2**22

Layout = tuple[tuple[int, ...], str]  # shape and dtype
Window = tuple[slice, slice]  # rows and columns


def own_name() -> str:
    """A name that no other process has, on whatever machine."""
    return f"{socket.gethostname()}-{os.getpid()}"


def unfinished_folder(output: Path) -> Path:
    """Where the tiles of a map lie until it is written."""
    return output.with_name(f".{output.name}.unfinished")


def tiles_of(output: Path) -> tuple[int, int]:
    """How many tiles of a map are made, and how many there are in all, 0 where nothing is begun.

    Args:
        output: file of the map, or the folder of the maps of many scenes.
    """
    outers = [unfinished_folder(output), *output.glob(".*.unfinished")]
    stores = [facts.parent for outer in outers for facts in outer.glob(f"*/{FACTS}")]
    made = total = 0
    with contextlib.suppress(OSError, InputError):  # it is removed at this moment
        for store in stores:
            made += sum(name.isdigit() for name in os.listdir(store / TILES))
            total += int(read_json(store / FACTS)["tiles"])
    return made, total


class TileStore:
    """Tiles of arrays [rows, columns, ...].

    Attributes:
        folder: of these tiles, inside the one that was given: other facts have another.
        windows: of the tiles, row by row.
    """

    def __init__(
        self,
        folder: Path,
        facts: Mapping[str, Any],
        layouts: Mapping[str, Layout],
        windows: Sequence[Window],
        *,
        overwrite: bool = False,
    ):
        """Begins the folder, or goes on in it, also where other processes are at work.

        Args:
            folder: that holds the tiles.
            facts: what decides them, as JSON can hold it; tiles are only added to equal ones.
            layouts: shape and dtype of each array.
            windows: of the tiles, row by row.
            overwrite: whether what was begun with other facts is removed.

        Raises:
            InputError: if the folder was begun with other facts, and is not to be overwritten.
            StorageError: if it cannot be written.
        """
        self._outer, self._layouts, self.windows = folder, dict(layouts), list(windows)
        arrays = {name: [list(shape), dtype] for name, (shape, dtype) in layouts.items()}
        known = {**facts, "arrays": arrays, "tiles": len(self.windows)}
        digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:16]
        with _writing(folder):
            self._clear_others(known, overwrite)
            for name in (TILES, CLAIMS):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            if not (self.folder / FACTS).exists():
                _write_whole(self.folder / FACTS, [json.dumps(known, indent=2).encode()])

    def _clear_others(self, known: Mapping[str, Any], overwrite: bool) -> None:
        others = [path for path in self._outer.glob("[!.]*") if path != self.folder]
        if others and not overwrite:
            before = read_json(others[0] / FACTS) if (others[0] / FACTS).is_file() else {}
            differing = [name for name in known if before.get(name) != known[name]]
            raise InputError(
                f"{self._outer} is an unfinished map of another prediction (it differs in "
                f"{', '.join(differing) if before else 'its format'}); give the same arguments to "
                f"go on with it, or `overwrite` to begin anew"
            )
        for path in others:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def done(self) -> set[int]:
        """The numbers of the tiles that are there, whoever has made them."""
        with _writing(self.folder):
            return {int(name) for name in os.listdir(self.folder / TILES) if name.isdigit()}

    def has(self, number: int) -> bool:
        """Whether a tile is there."""
        return self._path(number).exists()

    def is_gone(self) -> bool:
        """Whether the folder was removed, as by another process that has used its tiles."""
        return not (self.folder / FACTS).exists()

    def pixels(self, numbers: set[int]) -> int:
        """How many pixels some tiles have."""
        return sum(math.prod(_size(self.windows[number])) for number in numbers)

    def write(self, number: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes a tile; it counts when all of it is on the disk. A store that is gone needs none.

        Args:
            number: of its window.
            arrays: of every name, [rows, columns, ...].

        Raises:
            StorageError: if it cannot be written.
        """
        parts = [
            np.ascontiguousarray(arrays[name], dtype).data
            for name, (_, dtype) in self._layouts.items()
        ]
        with _writing(self.folder):
            try:
                _write_whole(self._path(number), parts)
            except FileNotFoundError:
                if not self.is_gone():
                    raise

    def strips(self, name: str) -> Iterator[np.ndarray]:
        """An array from its first row to its last, some rows at a time."""
        (_, columns, *rest), dtype = self._layouts[name]
        step = max(1, STRIP_BYTES // (columns * math.prod(rest) * np.dtype(dtype).itemsize))
        numbered = enumerate(self.windows)
        for rows, beside in groupby(numbered, key=lambda each: (each[1][0].start, each[1][0].stop)):
            numbers = [number for number, _ in beside]
            height = rows[1] - rows[0]
            for first in range(0, height, step):
                lines = slice(first, min(first + step, height))
                yield np.concatenate([self._read(name, n, lines) for n in numbers], 1)

    def _read(self, name: str, number: int, lines: slice) -> np.ndarray:
        """Some rows of an array's tile."""
        rows, columns = _size(self.windows[number])
        numbers = {each: columns * math.prod(s[2:]) for each, (s, _) in self._layouts.items()}
        widths = {
            each: numbers[each] * np.dtype(d).itemsize for each, (_, d) in self._layouts.items()
        }
        before = takewhile(lambda each: each != name, self._layouts)
        start = rows * sum(widths[each] for each in before) + lines.start * widths[name]
        (shape, dtype), count = self._layouts[name], lines.stop - lines.start
        found = np.fromfile(self._path(number), dtype, count * numbers[name], offset=start)
        return found.reshape(count, columns, *shape[2:])

    def _path(self, number: int) -> Path:
        return self.folder / TILES / str(number)

    def remove(self) -> None:
        """Deletes the tiles, and the folder that was given unless it holds others."""
        gone = self._outer / f".{own_name()}.gone"
        try:
            os.replace(self.folder, gone)  # at once, so that nobody finds a part of it
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._outer.rmdir()


def _size(window: Window) -> tuple[int, int]:
    rows, columns = window
    return rows.stop - rows.start, columns.stop - columns.start


def _write_whole(path: Path, parts: Sequence[Any]) -> None:
    """Writes a file, whole or not at all, also where another process writes the same one."""
    partial = path.with_name(f".{path.name}.{own_name()}")
    with open(partial, "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


class _writing:
    """Says which folder cannot be written."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, OSError):
            raise StorageError(f"{self._folder} cannot be written: {error}") from None
