"""The folder that a run leaves behind; nothing in it is overwritten unasked."""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hsi_jax.errors import InputError

RESULTS = (
    "config.json",
    "profile.json",
    "metrics.jsonl",
    "summary.json",
    "parameters.npz",
    "prediction.npz",
    "curves.png",
    "confusion.png",
    "map.png",
    "gallery.png",
    "shares.png",
)

_log = logging.getLogger(__name__)


class RunFolder:
    """Writes the results of one run (`RESULTS`), each as soon as it is known.

    Its methods that write raise InputError where a full disk, say, does not let them.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | Path, overwrite: bool = False):
        """Checks that results may be written there; makes and removes nothing.

        Raises:
            InputError: if it cannot be written, or holds something and may not be overwritten.
        """
        self.path = Path(path)
        self._unwritten, self._warned = "", False
        nearest = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise InputError(
                f"--workdir={path} cannot be written, because {nearest} is not a folder that can "
                f"be; choose another folder"
            )
        present = sorted(p.name for p in self.path.iterdir()) if self.path.exists() else []
        present = [name for name in present if name != ".config.json.partial"]  # left by a kill
        if present and not overwrite:
            name = "config.json" if "config.json" in present else present[0]
            raise InputError(
                f"--workdir={path} already holds {name}; choose another folder, replace the "
                f"earlier run with --overwrite, or go on with it by --resume"
            )
        if present and "config.json" not in present:
            raise InputError(
                f"--workdir={path} holds {present[0]} but no config.json, so it is not the folder "
                f"of a run and is not overwritten; choose another folder"
            )

    @classmethod
    def of_run(cls, path: str | Path) -> "RunFolder":
        """The folder of a run that is to be continued; changes nothing.

        Raises:
            InputError: if there is no run in it, or it cannot be written.
        """
        if not (Path(path) / "config.json").is_file():
            raise InputError(
                f"--workdir={path} holds no run to go on with (no config.json); check the folder, "
                f"or leave out --resume"
            )
        return cls(path, overwrite=True)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    def read_config(self) -> dict:
        """What config.json holds.

        Raises:
            InputError: if it cannot be read.
        """
        try:
            return json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path / 'config.json'} cannot be read: {error}") from None

    def start(self, config: dict) -> None:
        """Makes the folder, removes an earlier run's results and no other file, writes config.json.

        A kill on the way leaves the earlier config.json or the new one.

        Raises:
            InputError: if that fails, for a full disk, say.
        """
        with _told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in RESULTS[1:]:
                (self.path / name).unlink(missing_ok=True)
            self.write_json("config.json", config)
            (self.path / "metrics.jsonl").touch()

    def go_on(self, config: dict, keep: Callable[[dict], bool]) -> None:
        """Writes config.json, and metrics.jsonl with those of its records that are to be kept.

        What is no record, as where a kill or a full disk cut a line, is left out.

        Raises:
            InputError: as for `start`.
        """
        with _told(self.path):
            lines = [json.dumps(record) + "\n" for record in self.read_metrics() if keep(record)]
            self._replace("metrics.jsonl", lambda file: file.write("".join(lines).encode()))
            self.write_json("config.json", config)

    def write_json(self, name: str, content: dict) -> None:
        """Writes a JSON file, whole or not at all. NaN is refused: use None."""
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        self._replace(name, lambda file: file.write(text.encode()))

    def append_metrics(self, record: dict) -> None:
        """Adds a line to metrics.jsonl and closes it. NaN is refused: use None.

        What a full disk does not take is kept and written with a later line; a warning tells of it
        once.
        """
        self._unwritten += json.dumps(record, allow_nan=False) + "\n"
        path = self.path / "metrics.jsonl"
        size = path.stat().st_size if path.exists() else 0
        try:
            with open(path, "ab") as file:
                file.write(self._unwritten.encode())
        except OSError as error:
            if path.exists():
                os.truncate(path, size)  # no half of a line
            if not self._warned:
                _log.warning("%s cannot be written for now, and training goes on: %s", path, error)
            self._warned = True
        else:
            self._unwritten, self._warned = "", False

    def read_metrics(self) -> list[dict]:
        """All records of metrics.jsonl so far; lines that are none are left out."""
        path = self.path / "metrics.jsonl"
        records = []
        for line in path.read_bytes().splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        return records

    def write_figure(self, name: str, figure) -> None:
        """Saves a Matplotlib figure as PNG, whole or not at all."""
        self._replace(name, lambda file: figure.savefig(file, dpi=120, format="png"))

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """Saves named arrays as .npz, whole or not at all."""
        self._replace(name, lambda file: np.savez_compressed(file, **arrays))

    def _replace(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        partial = self.path / f".{name}.partial"
        try:
            with open(partial, "wb") as file:
                write(file)
            os.replace(partial, self.path / name)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise InputError(
                f"{self.path / name} cannot be written: {error}; mend that, and go on with "
                f"--resume, which repeats no step before the newest checkpoint"
            ) from None
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"--workdir={path} cannot be written: {error}") from None
