"""Trackers get what a run tells, in its folder and without a network."""

import socket

import pytest

from hsi_jax import session
from hsi_jax.data import random_split, synthetic_scene
from hsi_jax.errors import InputError
from hsi_jax.run.records import Step
from hsi_jax.run.trackers import TRACKERS, scalars_of

RUN = {
    "model": "mlp",
    "model_options": "hidden=(8, 4)",
    "profile": "1",
    "batch_size": 16,
    "steps": 3,
    "figures": "png",
}


@pytest.fixture
def no_network(monkeypatch):
    """An error of any address but one of this machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a connection to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


def run(folder, **others):
    scene = synthetic_scene()
    options = session.RunOptions.of(**RUN, **others, workdir=str(folder))
    split = random_split(scene.labels, 0, train_fraction=0.1)
    return session.run(options, scene=scene, split=split)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_mlflow_has_options_losses_and_pictures(tmp_path, no_network):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    done = run(tmp_path / "run", track="mlflow")
    client = MlflowClient((tmp_path / "run" / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("hsi_jax")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "run"
    assert found.info.status == "FINISHED"
    assert found.data.params["model"] == "mlp"
    history = client.get_metric_history(found.info.run_id, "train/loss")
    assert [point.step for point in history] == [0, 1, 2]
    assert found.data.metrics["test/overall_accuracy"] == done.summary.overall_accuracy
    assert "confusion.png" in {file.path for file in client.list_artifacts(found.info.run_id)}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_wandb_keeps_it_offline(tmp_path, no_network):
    pytest.importorskip("wandb")
    run(tmp_path / "run", track="wandb")
    (log,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    content = log.read_bytes()
    for name in (b"train/loss", b"test/overall_accuracy", b"confusion"):
        assert name in content
    assert list(log.parent.glob("files/media/images/confusion*.png"))


class Notes:
    """A tracker of a user's own."""

    told: list = []  # noqa: RUF012

    def __init__(self, folder, records=(), config=None):
        self.told.append((folder.name, config["model"]))

    @staticmethod
    def check():
        pass

    def add_record(self, record):
        self.told.append(scalars_of(record))

    def add_figure(self, name, figure):
        self.told.append(name)

    def close(self):
        self.told.append("closed")


def test_a_tracker_of_ones_own(tmp_path, monkeypatch):
    Notes.told.clear()
    monkeypatch.setitem(TRACKERS._targets, "notes", Notes)  # as `register`, and not for ever
    run(tmp_path / "run", track=" notes, notes")
    assert Notes.told[0] == ("run", "mlp")
    assert Notes.told[-1] == "closed"
    assert "confusion" in Notes.told
    assert [step for step, scalars in filter(_is_pair, Notes.told) if "train/loss" in scalars]


def _is_pair(item):
    return isinstance(item, tuple) and isinstance(item[1], dict)


def test_what_is_not_known_is_left_out():
    step = Step(step=1, loss=None, learning_rate=0.5, seconds=1.0, step_seconds=0.25)
    assert scalars_of(step) == (1, {"train/learning_rate": 0.5, "train/step_seconds": 0.25})


def test_an_unknown_tracker_is_named_before_the_run(tmp_path):
    with pytest.raises(InputError, match=r"`track`=mlfow.*mlflow"):
        run(tmp_path / "run", track="mlfow")
    assert not (tmp_path / "run").exists()
