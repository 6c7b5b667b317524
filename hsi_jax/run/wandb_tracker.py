"""A run's options, records and pictures for Weights & Biases, without a network unless asked."""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.run.figure_file import pixels_of
from hsi_jax.run.records import Record
from hsi_jax.run.trackers import scalars_of

PROJECT, MODE = "hsi_jax", "WANDB_MODE"


class WandbTracker:
    """A run of the project "hsi_jax", named after the folder, in the folder wandb/ of the run.

    `wandb sync` sends it later; with `WANDB_MODE=online` it is sent at once.
    """

    def __init__(
        self, folder: Path, records: Iterable[Record] = (), config: Mapping[str, Any] | None = None
    ):
        """Begins a run of Weights & Biases with the records that there are; see `Tracker`.

        Raises:
            InputError: as `check`.
        """
        self.check()
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._run = wandb.init(
            project=PROJECT,
            name=folder.name,
            dir=str(folder),
            config=dict(config or {}),
            mode="online" if os.environ.get(MODE) == "online" else "offline",
            settings=wandb.Settings(console="off", silent=True),
        )
        self._run.define_metric("*", step_metric="step")  # an evaluation may follow later steps
        for record in records:
            self.add_record(record)

    @staticmethod
    def check() -> None:
        """Checks that wandb is there.

        Raises:
            InputError: with the way to install it.
        """
        if importlib.util.find_spec("wandb") is None:
            raise InputError("`track`=wandb needs wandb; python -m pip install -e '.[wandb]'")

    def add_record(self, record: Record) -> None:
        """Adds the numbers of a record; one that is not known is left out."""
        step, scalars = scalars_of(record)
        if scalars:
            self._run.log({**scalars, "step": step})

    def add_figure(self, name: str, figure: Any) -> None:
        """Adds a Matplotlib figure as a picture."""
        import wandb

        self._run.log({name: wandb.Image(pixels_of(figure))})

    def close(self) -> None:
        """Writes what is left."""
        self._run.finish()
