"""A run's records and pictures as event files of TensorBoard, to be watched while it trains."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.run.figure_file import save_figure
from hsi_jax.run.records import Evaluation, Reconstruction, Record, Step

_OF_A_STEP = ("loss", "learning_rate", "step_seconds")
_OF_AN_EVALUATION = ("loss", "overall_accuracy", "average_accuracy", "kappa")


def check_tensorboard() -> None:
    """Checks that event files can be written.

    Raises:
        InputError: with the way to install what is missing.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise InputError(
            "`tensorboard` needs tensorboardX; python -m pip install tensorboardX"
        ) from None


class EventLog:
    """Writes scalars "train/loss", "validation/kappa" and the like, and pictures."""

    def __init__(self, folder: Path, records: Iterable[Record] = ()):
        """Begins a log with the records that there are.

        Args:
            folder: of the event files; those that are there are removed.
            records: of the run so far.

        Raises:
            InputError: as `check_tensorboard`.
        """
        check_tensorboard()
        from tensorboardX import SummaryWriter

        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        self._writer = SummaryWriter(str(folder))
        self._step = 0  # of the newest record
        for record in records:
            self.add_record(record)

    def add_record(self, record: Record) -> None:
        """Adds the numbers of a record; one that is not known is left out."""
        if isinstance(record, Step):
            self._add("train", record, _OF_A_STEP)
        elif isinstance(record, Evaluation):
            self._add(record.set, record, _OF_AN_EVALUATION)
        elif isinstance(record, Reconstruction):
            self._add(record.set, record, ("error", "error_of_mean"))

    def add_figure(self, name: str, figure) -> None:
        """Adds a Matplotlib figure as a picture at the step of the newest record."""
        from PIL import Image

        file = io.BytesIO()
        save_figure(figure, file)
        pixels = np.asarray(Image.open(file).convert("RGB"))
        self._writer.add_image(name, pixels, self._step, dataformats="HWC")

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()

    def _add(
        self, group: str, record: Step | Evaluation | Reconstruction, names: tuple[str, ...]
    ) -> None:
        self._step = record.step
        for name in names:
            value = getattr(record, name)
            if value is not None:
                self._writer.add_scalar(f"{group}/{name}", value, record.step)
