"""The folder that a run leaves behind; nothing in it is overwritten unasked."""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hsi_jax.errors import InputError, StorageError
from hsi_jax.json_file import read_json
from hsi_jax.run import lock
from hsi_jax.run.figure_file import FIGURE_FORMATS, FIGURE_NAMES, save_figure
from hsi_jax.run.records import Record, read_records, write_record
from hsi_jax.run.summary import Training, to_json
from hsi_jax.run.trackers import TRACKERS, Tracker

RESULTS = (
    "config.json",
    "profile.json",
    "metrics.jsonl",
    "summary.json",
    "prediction.npz",
    "spectra.npz",
)
WITHOUT_LABELS = ("reconstruction.npz",)  # instead of the last two

_OF_TRACKERS = ("tensorboard", "mlflow", "wandb")  # folders

_MAX_NAME = 255  # bytes of a name, on all usual file systems
_LEFT_BY_A_KILL = {".config.json.partial", lock.NAME}

_log = logging.getLogger(__name__)


class RunFolder:
    """Writes the results of one run (`RESULTS` and pictures), each as soon as it is known.

    Its methods that write raise StorageError where they cannot, for a full disk for example.

    Attributes:
        path: the folder.
        trackers: where records and pictures go as well; see `track`.
    """

    def __init__(self, path: str | Path, overwrite: bool = False):
        """Checks that results may be written there; makes and removes nothing.

        Raises:
            InputError: if it cannot be written, or holds something and may not be overwritten.
        """
        self.path = Path(path)
        self.trackers: list[Tracker] = []
        self._unwritten, self._warned = "", False
        check_place(self.path)
        names = {p.name for p in self.path.iterdir()} if self.path.exists() else set()
        present = sorted(names - _LEFT_BY_A_KILL)
        if present and "config.json" not in present:
            raise InputError(
                f"`workdir`={path} already holds {present[0]} but no config.json, so it is not the "
                f"folder of a run and is not overwritten; choose another folder"
            )
        if present and not overwrite:
            raise InputError(
                f"`workdir`={path} already holds config.json; choose another folder, or replace "
                f"the earlier run with `overwrite`, or continue it with `resume`"
            )

    @classmethod
    def of_run(cls, path: str | Path) -> "RunFolder":
        """The folder of a run that is to be continued; changes nothing.

        Raises:
            InputError: if there is no run in it, or it cannot be written.
        """
        if not (Path(path) / "config.json").is_file():
            raise InputError(
                f"`workdir`={path} holds no run to continue (no config.json); check the folder, "
                f"or leave out `resume`"
            )
        return cls(path, overwrite=True)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The folder of the trained model."""
        return self.path / "model"

    def read_config(self) -> dict:
        """What config.json holds.

        Raises:
            InputError: if it cannot be read, or is no object.
        """
        config = read_json(self.path / "config.json")
        if not isinstance(config, dict):
            raise InputError(f"{self.path / 'config.json'} is not the configuration of a run")
        return config

    def start(self, config: dict) -> None:
        """Makes the folder, removes an earlier run's results and no other file, writes config.json.

        A kill on the way leaves the earlier config.json or the new one.

        Raises:
            StorageError: if that fails, for a full disk for example.
        """
        with _told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in (*RESULTS[1:], *WITHOUT_LABELS):
                (self.path / name).unlink(missing_ok=True)
            for name in FIGURE_NAMES:
                for suffix in FIGURE_FORMATS:
                    (self.path / f"{name}.{suffix}").unlink(missing_ok=True)
            for folder in (self.model, *(self.path / name for name in _OF_TRACKERS)):
                if folder.is_dir():
                    shutil.rmtree(folder)
            self.write_json("config.json", config)
            (self.path / "metrics.jsonl").touch()

    def go_on(self, config: dict, keep: Callable[[Record], bool]) -> None:
        """Writes config.json, and metrics.jsonl with those of its records that are to be kept.

        What is no record, as where a kill or a full disk cut a line, is left out.

        Raises:
            StorageError: as for `start`.
        """
        with _told(self.path):
            lines = [write_record(record) for record in self.read_records() if keep(record)]
            self._replace("metrics.jsonl", lambda file: file.write("".join(lines).encode()))
            self.write_json("config.json", config)

    def move_to(self, path: Path) -> None:
        """Writes to another folder from now on, where its own files replace those there.

        Raises:
            StorageError: as for `start`.
        """
        with _told(path):
            path.mkdir(parents=True, exist_ok=True)
            own, self.path = self.path, path
            for name in RESULTS:
                if (own / name).is_file():
                    content = (own / name).read_bytes()
                    self._replace(name, lambda file, content=content: file.write(content))

    def track(self, names: Sequence[str], config: dict | None = None) -> None:
        """From now on gives all records, those so far too, and all pictures to trackers.

        Args:
            names: of `TRACKERS`.
            config: the options of the run.

        Raises:
            InputError: where that cannot be; see `Tracker.check`.
        """
        records = self.read_records()
        self.trackers = [TRACKERS.find(name)(self.path, records, config or {}) for name in names]

    def write_json(self, name: str, content: dict) -> None:
        """Writes a JSON file, whole or not at all. NaN is refused: use None."""
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        self._replace(name, lambda file: file.write(text.encode()))

    def write_summary(self, summary: Training) -> None:
        """Writes summary.json."""
        self.write_json("summary.json", to_json(summary))

    def append_record(self, record: Record) -> None:
        """Adds a line to metrics.jsonl and closes it. NaN is refused: use None.

        What a full disk does not take is kept and written with a later line; a warning tells of it
        once.
        """
        for tracker in self.trackers:
            tracker.add_record(record)
        self._unwritten += write_record(record)
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

    def read_records(self) -> list[Record]:
        """All records of metrics.jsonl so far; lines that hold none are left out."""
        return read_records(self.read_lines().splitlines())

    def read_lines(self) -> bytes:
        """The content of metrics.jsonl, empty where it is not there."""
        path = self.path / "metrics.jsonl"
        return path.read_bytes() if path.is_file() else b""

    def write_lines(self, content: bytes) -> None:
        """Replaces the content of metrics.jsonl."""
        self._replace("metrics.jsonl", lambda file: file.write(content))

    def write_figure(self, name: str, figure: Any, formats: Sequence[str] = ("png",)) -> None:
        """Saves a Matplotlib figure in these formats, each file whole or not at all.

        Args:
            name: of the files, without a suffix.
            figure: to save.
            formats: of `FIGURE_FORMATS`.
        """
        for suffix in formats:
            self._replace(f"{name}.{suffix}", partial(save_figure, figure, format=suffix))
        for tracker in self.trackers:
            tracker.add_figure(name, figure)

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """Saves named arrays as .npz, whole or not at all."""
        named: dict[str, Any] = arrays  # NumPy's stubs know a keyword of its own
        self._replace(name, lambda file: np.savez_compressed(file, **named))

    def _replace(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        unfinished = self.path / f".{name}.partial"
        try:
            unfinished.unlink(missing_ok=True)  # it may be a pipe, or a link to something else
            with open(unfinished, "xb") as file:
                write(file)
            os.replace(unfinished, self.path / name)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise StorageError(
                f"{self.path / name} cannot be written: {error}; make room or mend the cause, and "
                f"continue with `resume`, which repeats no step before the newest checkpoint"
            ) from None
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def check_place(path: Path) -> None:
    """Checks that a folder can be written, or made, there; changes nothing.

    Raises:
        InputError: if not.
    """
    nearest = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
    longest = max(len(os.fsencode(part)) for part in path.absolute().parts)
    if longest > _MAX_NAME:
        raise InputError(
            f"`workdir`={path} has a name of {longest} bytes, more than the {_MAX_NAME} that file "
            f"systems take; choose a shorter one"
        )
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(
            f"`workdir`={path} cannot be written, because {nearest} is not a folder that can be; "
            f"choose another folder"
        )


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"`workdir`={path} cannot be written: {error}") from None
