"""The folder that a run leaves behind; nothing in it is overwritten unasked."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from hsi_jax.errors import InputError

RESULTS = (
    "config.json",
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
        """Makes the folder if need be and checks that results may be written; removes nothing.

        Raises:
            InputError: if it cannot be written, or holds something and may not be overwritten.
        """
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                present = sorted(entry.name for entry in self.path.iterdir())
        except OSError as error:
            raise InputError(
                f"--workdir={path} cannot be written ({error.strerror}); choose another folder"
            ) from None
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
        """Removes the results of an earlier run, and no other file, and writes config.json."""
        for name in RESULTS:
            (self.path / name).unlink(missing_ok=True)
        (self.path / "metrics.jsonl").touch()
        self.write_json("config.json", config)

    def write_json(self, name: str, content: dict) -> None:
        """Writes a JSON file, whole or not at all. NaN is refused: use None."""
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        partial = self.path / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.path / name)

    def append_metrics(self, record: dict) -> None:
        """Adds a line to metrics.jsonl; it is on disk when this returns."""
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

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
