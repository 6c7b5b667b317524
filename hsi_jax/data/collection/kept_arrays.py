"""What is known of the files of a collection is kept from one run to the next."""

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_MAX_BYTES = 2**28  # of all files; the oldest go first
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class KeptArrays:
    """Arrays by a key that says all that they depend on. What cannot be kept is found again.

    Attributes:
        folder: where they are, or None to keep nothing.
    """

    folder: Path | None = None

    def load(self, key: str, names: Iterable[str]) -> dict[str, np.ndarray] | None:
        """The arrays of a key, or None."""
        if self.folder is None:
            return None
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as arrays:
                return {name: arrays[name] for name in names}
        except _UNREADABLE:
            return None

    def save(self, key: str, arrays: Mapping[str, Any]) -> None:
        """Keeps arrays; a reader finds them whole or not at all."""
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            os.replace(file.name, self.folder / f"{key}.npz")
            self._tidy()

    def _tidy(self) -> None:
        assert self.folder
        files = [(file.stat(), file) for file in self.folder.iterdir()]
        total = sum(facts.st_size for facts, _ in files)
        for facts, file in sorted(files, key=lambda pair: pair[0].st_mtime):
            if total <= _MAX_BYTES:
                return
            file.unlink(missing_ok=True)
            total -= facts.st_size


def key_of(kind: str, files: Iterable[Path], *facts: Any) -> str:
    """A key of files, by their places, sizes and times of change, and of other facts.

    Args:
        kind: of what is kept.
        files: that it depends on.
        facts: as JSON has them, or by their text.
    """
    stats = [(str(file.resolve()), file.stat()) for file in files]
    known = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    text = json.dumps([1, kind, known, [repr(fact) for fact in facts]])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_of(*arrays: np.ndarray) -> str:
    """SHA-256 of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
