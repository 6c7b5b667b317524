"""A run's records and pictures as event files of TensorBoard, to be watched while it trains."""

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.run.figure_file import pixels_of
from hsi_jax.run.records import Record
from hsi_jax.run.trackers import scalars_of


class EventLog:
    """Writes scalars "train/loss", "validation/kappa" and the like, and pictures."""

    def __init__(
        self, folder: Path, records: Iterable[Record] = (), config: Mapping[str, Any] | None = None
    ):
        """Begins a log with the records that there are, in tensorboard/; see `Tracker`.

        Event files that are there are removed.

        Raises:
            InputError: as `check`.
        """
        self.check()
        from tensorboardX import SummaryWriter

        folder = folder / "tensorboard"
        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        self._writer = SummaryWriter(str(folder))
        self._step = 0  # of the newest record
        for record in records:
            self.add_record(record)

    @staticmethod
    def check() -> None:
        """Checks that event files can be written.

        Raises:
            InputError: with the way to install what is missing.
        """
        if importlib.util.find_spec("tensorboardX") is None:
            raise InputError(
                "`tensorboard` needs tensorboardX; python -m pip install -e '.[tensorboard]'"
            )

    def add_record(self, record: Record) -> None:
        """Adds the numbers of a record; one that is not known is left out."""
        step, scalars = scalars_of(record)
        self._step = step if scalars else self._step
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def add_figure(self, name: str, figure) -> None:
        """Adds a Matplotlib figure as a picture at the step of the newest record."""
        self._writer.add_image(name, pixels_of(figure), self._step, dataformats="HWC")

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()
