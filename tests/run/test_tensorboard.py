"""Event files, read back by TensorBoard's own reader."""

import importlib.util
import io
import warnings

import pytest
from matplotlib.figure import Figure
from PIL import Image

from hsi_jax.errors import InputError
from hsi_jax.run import RunFolder
from hsi_jax.run.records import Evaluation, Step
from hsi_jax.run.trackers import TRACKERS

pytest.importorskip("tensorboardX")

VALIDATION = Evaluation(
    set="validation", step=2, loss=0.25, overall_accuracy=0.75, average_accuracy=0.5, kappa=0.375
)


def step(number, loss):
    return Step(step=number, loss=loss, learning_rate=0.5, seconds=1.0, step_seconds=0.125)


def read(folder):
    """Scalars and images of a run's event files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorBoard's own dependencies
        reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        events = reader.EventAccumulator(str(folder / "tensorboard"), {"images": 0, "scalars": 0})
        events.Reload()
        tags = events.Tags()
        scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}
        return scalars, {tag: events.Images(tag) for tag in tags["images"]}


def test_records_and_pictures_come_back(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({})
    folder.append_record(step(0, 2.0))  # before the log begins, as when a run goes on
    folder.track(["tensorboard"])
    folder.append_record(step(1, None))
    folder.append_record(step(2, 1.5))
    folder.append_record(VALIDATION)
    folder.write_figure("curves", Figure(figsize=(2, 1)))
    folder.trackers[0].close()
    scalars, images = read(tmp_path)
    assert scalars["train/loss"] == [(0, 2.0), (2, 1.5)]
    assert scalars["train/learning_rate"] == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert scalars["train/step_seconds"] == [(0, 0.125), (1, 0.125), (2, 0.125)]
    assert scalars["validation/kappa"] == [(2, 0.375)]
    assert scalars["validation/overall_accuracy"] == [(2, 0.75)]
    (curves,) = images["curves"]
    assert curves.step == 2
    assert Image.open(io.BytesIO(curves.encoded_image_string)).size == (500, 250)


def test_a_run_that_goes_on_tells_no_step_twice(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({})
    for _ in range(2):
        folder.track(["tensorboard"])
        folder.append_record(step(len(folder.read_records()), 1.0))
        folder.trackers[0].close()
    scalars, _ = read(tmp_path)
    assert scalars["train/loss"] == [(0, 1.0), (1, 1.0)]


def test_a_new_run_removes_the_events_of_the_old_one(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({})
    folder.track(["tensorboard"])
    folder.trackers[0].close()
    RunFolder(tmp_path, overwrite=True).start({})
    assert not (tmp_path / "tensorboard").exists()


def test_what_is_missing_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in TRACKERS:
        with pytest.raises(InputError, match=rf"pip install -e '\.\[{name}\]'"):
            TRACKERS[name].check()
