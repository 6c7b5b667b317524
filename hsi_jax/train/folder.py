"""The folder that a run leaves behind; nothing in it is overwritten unasked."""

import json
import os
from pathlib import Path

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
    "shares.png",
)


class RunFolder:
    """Writes the results of one run (`RESULTS`), each as soon as it is known.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | Path, overwrite: bool = False):
        """Checks that results may be written there; makes and removes nothing.

        Raises:
            InputError: if it cannot be written, or holds something and may not be overwritten.
        """
        self.path = Path(path)
        nearest = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise InputError(
                f"--workdir={path} cannot be written, because {nearest} is not a folder that can "
                f"be; choose another folder"
            )
        present = sorted(p.name for p in self.path.iterdir()) if self.path.exists() else []
        if present and not overwrite:
            raise InputError(
                f"--workdir={path} already holds {present[0]}; choose another folder, or replace "
                f"the earlier run with --overwrite"
            )
        if present and "config.json" not in present:
            raise InputError(
                f"--workdir={path} holds {present[0]} but no config.json, so it is not the folder "
                f"of a run and is not overwritten; choose another folder"
            )

    def start(self, config: dict) -> None:
        """Makes the folder, removes an earlier run's results and no other file, writes config.json.

        Raises:
            InputError: if that fails, for a full disk, say.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._clear()
            self.write_json("config.json", config)
        except OSError as error:
            raise InputError(f"--workdir={self.path} cannot be written: {error}") from None

    def _clear(self) -> None:
        for name in RESULTS:
            (self.path / name).unlink(missing_ok=True)
        (self.path / "metrics.jsonl").touch()

    def write_json(self, name: str, content: dict) -> None:
        """Writes a JSON file, whole or not at all. NaN is refused: use None."""
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        partial = self.path / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.path / name)

    def append_metrics(self, record: dict) -> None:
        """Adds a line to metrics.jsonl and closes it. NaN is refused: use None."""
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def read_metrics(self) -> list[dict]:
        """All records of metrics.jsonl so far."""
        lines = (self.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def write_figure(self, name: str, figure) -> None:
        """Saves a Matplotlib figure as PNG."""
        figure.savefig(self.path / name, dpi=120)

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        """Saves named arrays as .npz."""
        np.savez_compressed(self.path / name, **arrays)
