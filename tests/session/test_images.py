"""Runs on sets of images that the tests make."""

import json

import numpy as np
import pytest
from PIL import Image

from hsi_jax import session
from hsi_jax.data import load_image_set
from hsi_jax.errors import InputError
from hsi_jax.session.options import RunOptions
from hsi_jax.trained import TrainedModel

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
    """Does a run with some options changed; its result."""

    def do(**changes):
        given = {"data_dir": str(folder), "workdir": str(tmp_path_factory.mktemp("run") / "run")}
        return session.run(RunOptions.of(**SMALL | given | changes))

    return do


@pytest.fixture(scope="module")
def base(do_run):
    return do_run(figures="png")


def test_a_run_leaves_a_gallery_and_the_test_predictions(base):
    workdir, summary = base.folder, base.summary
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


@pytest.mark.long
def test_streamed_over_other_devices_gives_the_same_bits(base, do_run):
    streamed = do_run(profile="2:1:1", feed="streamed", cache_mb=0)
    assert streamed.summary.feed.kind == "streamed"
    assert_same_weights(streamed, base)
    assert streamed.summary.losses_first_steps == base.summary.losses_first_steps


def assert_same_weights(ours, theirs):
    """Both results hold the same bits."""
    here, there = (np.load(each.folder / "model" / "weights.npz") for each in (ours, theirs))
    assert sorted(here) == sorted(there)
    assert all(here[name].tobytes() == there[name].tobytes() for name in here)


def test_the_model_that_a_notebook_gets_is_that_of_the_folder(base, folder):
    images = load_image_set("folder", folder)
    ids = np.load(base.folder / "prediction.npz")["ids"]
    probabilities = base.model.predict_probabilities(images)
    loaded = TrainedModel.of_run(base.folder)
    np.testing.assert_array_equal(loaded.predict_probabilities(images), probabilities)
    right = np.mean(probabilities.argmax(1)[ids] == images.labels[ids])
    assert right == pytest.approx(base.summary.overall_accuracy)


@pytest.mark.long
def test_images_may_be_resized_and_the_network_be_another(do_run):
    options = {"model": "cnn2d", "model_options": "features=(4, 4, 4); hidden=8"}
    summary = do_run(image_size=12, **options).summary
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


@pytest.mark.long
def test_images_of_many_bands_train_stream_and_are_predicted(multiband, do_run):
    given = {"data_dir": str(multiband), "batch_size": 21, "microbatch_size": 21}
    given |= {"steps": 60, "learning_rate": 0.01, "augment": ""}
    given |= {"model": "cnn2d", "model_options": "features=(8, 8, 8); hidden=16"}
    result = do_run(**given)
    assert result.summary.input_shape == (SIDE, SIDE, 5)
    assert result.summary.overall_accuracy > 0.9
    assert_same_weights(do_run(**given, feed="streamed", cache_mb=0), result)

    images = load_image_set("folder", multiband)
    model = result.model
    assert model.description.num_bands == 5
    arrays = np.load(result.folder / "prediction.npz")
    np.testing.assert_array_equal(model.predict(images)[arrays["ids"]], arrays["prediction"])
    everything = images.read(np.arange(len(images))).reshape(-1, 5)
    np.testing.assert_allclose(model.description.mean, everything.mean(0), rtol=0.2)
    with pytest.raises(InputError, match="shape"):
        model.predict(images.read([0])[..., :3])


def test_a_set_without_an_official_split_says_so(folder, tmp_path):
    given = {"data_dir": str(folder), "split": "official", "train_fraction": None}
    options = RunOptions.of(**(SMALL | given), workdir=str(tmp_path / "run"))
    with pytest.raises(InputError, match="`split`=official"):
        session.run(options)
