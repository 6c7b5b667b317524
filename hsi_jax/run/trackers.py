"""Where the records and pictures of a run go as well, while it trains: one protocol, by name.

A tracker of your own is a class with these methods: `TRACKERS.register(name, it)`, or
package.module:Class where the name is taken.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hsi_jax.registry import Registry
from hsi_jax.run.records import Evaluation, Reconstruction, Record, Step

_OF_A_STEP = ("loss", "learning_rate", "step_seconds")
_OF_AN_EVALUATION = ("loss", "overall_accuracy", "average_accuracy", "kappa")


class Tracker(Protocol):
    """What a run tells as it goes; made as `Tracker(folder, records, config)`.

    The arguments are the folder of the run, the records so far, as when it is resumed, and the
    options of the run.
    """

    def __init__(
        self, folder: Path, records: Iterable[Record] = (), config: Mapping[str, Any] = ...
    ): ...

    @staticmethod
    def check() -> None:
        """Checks, before the run begins, that it can be used; raises InputError if not."""
        ...

    def add_record(self, record: Record) -> None:
        """Takes a step or an evaluation; see `scalars_of`."""
        ...

    def add_figure(self, name: str, figure: Any) -> None:
        """Takes a Matplotlib figure."""
        ...

    def close(self) -> None:
        """Writes what is left."""
        ...


TRACKERS: Registry[type[Tracker]] = Registry(
    "track",
    {
        "tensorboard": "hsi_jax.run.tensorboard:EventLog",
        "mlflow": "hsi_jax.run.mlflow_tracker:MlflowTracker",
        "wandb": "hsi_jax.run.wandb_tracker:WandbTracker",
    },
)


def scalars_of(record: Record) -> tuple[int, dict[str, float]]:
    """The step of a record, and its numbers by names such as "train/loss"; none of other kinds."""
    if isinstance(record, Step):
        group, names = "train", _OF_A_STEP
    elif isinstance(record, Evaluation):
        group, names = record.set, _OF_AN_EVALUATION
    elif isinstance(record, Reconstruction):
        group, names = record.set, ("error", "error_of_mean")
    else:
        return 0, {}
    values = {f"{group}/{name}": getattr(record, name) for name in names}
    return record.step, {name: value for name, value in values.items() if value is not None}
