"""A run's options, records and pictures for MLflow, in the run's folder or on a server."""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.run.records import Record
from hsi_jax.run.trackers import scalars_of

EXPERIMENT, URI = "hsi_jax", "MLFLOW_TRACKING_URI"
_MAX_VALUE = 500  # characters of a parameter


class MlflowTracker:
    """A run of the experiment "hsi_jax", named after the folder.

    It goes to the folder mlflow/ of the run, which needs no server and no network; where
    `MLFLOW_TRACKING_URI` is set, it goes there.
    """

    def __init__(
        self, folder: Path, records: Iterable[Record] = (), config: Mapping[str, Any] | None = None
    ):
        """Begins a run of MLflow with the records that there are; see `Tracker`.

        Raises:
            InputError: as `check`.
        """
        self.check()
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # which version 3 must be told
        from mlflow.tracking import MlflowClient

        own = (folder / "mlflow").absolute().as_uri()
        self._client = MlflowClient(os.environ.get(URI) or own)
        known = self._client.get_experiment_by_name(EXPERIMENT)
        where = known.experiment_id if known else self._client.create_experiment(EXPERIMENT)
        self._run = self._client.create_run(where, run_name=folder.name).info.run_id
        for name, value in (config or {}).items():
            self._client.log_param(self._run, name, str(value)[:_MAX_VALUE])
        for record in records:
            self.add_record(record)

    @staticmethod
    def check() -> None:
        """Checks that MLflow is there.

        Raises:
            InputError: with the way to install it.
        """
        if importlib.util.find_spec("mlflow") is None:
            raise InputError("`track`=mlflow needs MLflow; python -m pip install -e '.[mlflow]'")

    def add_record(self, record: Record) -> None:
        """Adds the numbers of a record; one that is not known is left out."""
        step, scalars = scalars_of(record)
        for name, value in scalars.items():
            self._client.log_metric(self._run, name, value, step=step)

    def add_figure(self, name: str, figure: Any) -> None:
        """Adds a Matplotlib figure as an artifact."""
        self._client.log_figure(self._run, figure, f"{name}.png")

    def close(self) -> None:
        """Says that the run has ended."""
        self._client.set_terminated(self._run)
