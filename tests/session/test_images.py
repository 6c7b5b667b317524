"""Runs on sets of images that the tests make."""

import json

import numpy as np
import pytest
from PIL import Image

from hsi_jax.data import load_image_set
from hsi_jax.errors import InputError
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.trained import TrainedModel
from tests.session.runs import run

pytestmark = pytest.mark.slow

CLASSES, PER_CLASS, SIDE = ("lake", "meadow", "town"), 14, 8
SMALL = {
    "dataset": "folder",
    "model": "resnet20",
    "model_options": "depths=(1, 1, 1); width=4",
    "batch_size": 12,
    "microbatch_size": 4,
    "train_fraction": 0.5,
    "augment": "flip,rotate",
    "steps": 4,
    "figures": "none",
    "profile": "1",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures whose colour tells the class, with noise."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index, name in enumerate(CLASSES):
        (root / name).mkdir()
        for number in range(PER_CLASS):
            pixels = rng.integers(0, 60, (SIDE, SIDE, 3))
            pixels[..., index] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def do_run(folder, tmp_path_factory):
    def do(**changes):
        workdir = tmp_path_factory.mktemp("run") / "run"
        options = RunOptions.of(
            **(SMALL | {"data_dir": str(folder), "workdir": str(workdir)} | changes)
        )
        return workdir, run(options)

    return do


@pytest.fixture(scope="module")
def base(do_run):
    return do_run(figures="png")


def test_a_run_leaves_a_gallery_and_the_test_predictions(base):
    workdir, summary = base
    assert (workdir / "gallery.png").stat().st_size > 1000
    assert not (workdir / "map.png").exists()
    arrays = np.load(workdir / "prediction.npz")
    assert sorted(arrays) == ["ids", "prediction", "truth"]
    assert len(arrays["ids"]) == summary.split.counts["test"] == 3 * PER_CLASS / 2
    right = np.mean(arrays["prediction"] == arrays["truth"])
    assert summary.overall_accuracy == pytest.approx(right)
    assert summary.class_names == CLASSES
    assert summary.input_shape == (SIDE, SIDE, 3)
    assert summary.split.leakage is None
    assert summary.feed.kind == "resident"
    assert json.loads((workdir / "config.json").read_text())["augment"] == "flip,rotate"


def test_streamed_over_other_devices_gives_the_same_bits(base, do_run):
    workdir, summary = do_run(profile="2:1:1", feed="streamed", cache_mb=0)
    assert summary.feed.kind == "streamed"
    ours, theirs = (np.load(path / "model" / "weights.npz") for path in (workdir, base[0]))
    assert sorted(ours) == sorted(theirs)
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), name
    assert summary.losses_first_steps == base[1].losses_first_steps


def test_images_may_be_resized_and_the_network_be_another(do_run):
    _, summary = do_run(image_size=12, model="cnn2d", model_options="features=(4, 4, 4); hidden=8")
    assert summary.input_shape == (12, 12, 3)
    assert summary.model == "cnn2d"


@pytest.fixture(scope="module")
def multiband(tmp_path_factory):
    """Images of five bands and 16 bits, whose last band tells the class."""
    root = tmp_path_factory.mktemp("multiband")
    rng = np.random.default_rng(0)
    for index, name in enumerate(CLASSES):
        (root / name).mkdir()
        for number in range(PER_CLASS):
            pixels = rng.integers(0, 500, (SIDE, SIDE, 5))
            pixels[..., 4] += 20_000 * index
            np.save(root / name / f"{number}.npy", pixels.astype(np.uint16))
    return root


@pytest.mark.slow
def test_images_of_many_bands_train_stream_and_are_predicted(multiband, do_run):
    given = {"data_dir": str(multiband), "batch_size": 21, "microbatch_size": 21}
    given |= {"steps": 60, "learning_rate": 0.01, "augment": ""}
    given |= {"model": "cnn2d", "model_options": "features=(8, 8, 8); hidden=16"}
    workdir, summary = do_run(**given)
    assert summary.input_shape == (SIDE, SIDE, 5)
    assert summary.overall_accuracy > 0.9
    streamed, _ = do_run(**given, feed="streamed", cache_mb=0)
    ours, theirs = (np.load(path / "model" / "weights.npz") for path in (workdir, streamed))
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)

    images = load_image_set("folder", multiband)
    model = TrainedModel.of_run(workdir)
    assert model.description.num_bands == 5
    arrays = np.load(workdir / "prediction.npz")
    np.testing.assert_array_equal(model.predict(images)[arrays["ids"]], arrays["prediction"])
    everything = images.read(np.arange(len(images))).reshape(-1, 5)
    np.testing.assert_allclose(model.description.mean, everything.mean(0), rtol=0.2)
    with pytest.raises(InputError, match="shape"):
        model.predict(images.read([0])[..., :3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 5}, "--patch_size goes with scenes, not with --dataset=folder"),
        ({"components": 3}, "--components goes with scenes"),
        ({"cube": "x.npy"}, "--cube goes with --dataset=file"),
        ({"split": "disjoint"}, "images have the splits random and official"),
        ({"augment": "flip,wobble"}, "wobble.*is unknown"),
        ({"dataset": "eurosatt"}, "did you mean eurosat"),
        ({"dataset": "synthetic", "image_size": 8}, "--image_size goes with sets of images"),
        ({"dataset": "synthetic", "feed": "streamed"}, "--feed=streamed goes with sets of images"),
        ({"dataset": "synthetic", "split": "official"}, "--split=official goes with sets of"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    values = SMALL | {"data_dir": "pictures"} | changes
    if values["dataset"] == "synthetic":
        values |= {"model": "cnn2d", "model_options": "", "augment": "", "data_dir": ""}
    with pytest.raises(InputError, match=message):
        resolve(RunOptions.of(**values))


def test_a_set_without_an_official_split_says_so(folder, tmp_path):
    given = {"data_dir": str(folder), "split": "official", "train_fraction": None}
    options = RunOptions.of(**(SMALL | given), workdir=str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"--split=official: .* comes without a split"):
        run(options)


def test_networks_default_to_what_fits_the_data():
    assert RunOptions.of().model_name == "cnn2d"
    assert RunOptions.of(dataset="eurosat").model_name == "resnet20"
