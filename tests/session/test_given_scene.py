"""Runs as a notebook does them: `session.run` with a scene and a split that are in memory."""

import dataclasses
import json
import signal

import numpy as np
import pytest

from hsi_jax import session
from hsi_jax.commands.predict import PredictOptions, predict
from hsi_jax.commands.run import main
from hsi_jax.data import Scene, Split, random_split, synthetic_scene
from hsi_jax.errors import InputError
from hsi_jax.options import values, with_values
from hsi_jax.run import RunFolder
from hsi_jax.run.records import Step
from hsi_jax.session import RunOptions, train_scene
from hsi_jax.train import Recipe

pytestmark = pytest.mark.slow

RECIPE = Recipe(batch_size=24, microbatch_size=8, steps=6, learning_rate=0.02)
MODEL = {
    "model": "mlp",
    "model_options": "hidden=(8, 8); dropout=0",
    "components": 3,
    "patch_size": 3,
}
RUN = {**MODEL, **values(RECIPE), "profile": "2:1", "figures": "none", "checkpoint_every": 2}


def same_bits(ours, theirs):
    """Whether two sets of parameters, or their files, hold the same bits."""
    flat = [np.load(path / "model" / "weights.npz") for path in (ours, theirs)]
    return flat[0].keys() == flat[1].keys() and all(
        flat[0][name].tobytes() == flat[1][name].tobytes() for name in flat[0]
    )


@pytest.fixture(scope="module")
def scene():
    """Two classes whose spectra differ, with ids as a user's file may have them."""
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 4, 7]), (12, 14), p=[0.2, 0.4, 0.4])
    cube = rng.normal(0, 0.3, (12, 14, 5)) + (labels == 4)[..., None] * np.arange(5)
    return Scene.from_arrays("field", cube.astype(np.float32), labels)


@pytest.fixture(scope="module")
def split(scene) -> Split:
    """Some pixels of each class train, and of these some validate."""
    drawn = random_split(scene.labels, 1, train_fraction=0.5)
    return dataclasses.replace(drawn, train=drawn.train[::2], validation=drawn.train[1::2])


@pytest.fixture(scope="module")
def done(scene, split, tmp_path_factory):
    """The result of a run on them."""
    options = RunOptions.of(**RUN, workdir=str(tmp_path_factory.mktemp("given")))
    return session.run(options, scene=scene, split=split)


def test_it_is_the_training_of_train_scene(done, scene, split):
    trained = train_scene(
        scene,
        split,
        model="mlp",
        options=MODEL["model_options"],
        patch_size=3,
        components=3,
        profile="1:1:1",
        recipe=RECIPE,
    )
    assert list(done.summary.losses_first_steps) == trained.fitted.losses
    assert done.summary.best_step == trained.fitted.best_step
    ours, theirs = done.model.arrays_beside(), trained.model.arrays_beside()
    assert ours.keys() == theirs.keys()
    np.testing.assert_array_equal(
        done.model.predict_probabilities(scene), trained.model.predict_probabilities(scene)
    )


def test_it_is_the_run_of_the_command_on_the_same_data(done, scene, split, tmp_path):
    np.save(tmp_path / "cube.npy", scene.cube)
    np.save(tmp_path / "labels.npy", scene.original_labels(scene.labels))
    maps = {name: np.zeros(scene.labels.shape, bool) for name in ("train", "test")}
    maps["train"].flat[np.concatenate([split.train, split.validation])] = True
    maps["test"].flat[split.test] = True
    np.savez(tmp_path / "split.npz", **maps)
    files = {name: str(tmp_path / f"{name}.npy") for name in ("cube", "labels")}
    files |= {"dataset": "file", "split": str(tmp_path / "split.npz")}
    flags = {**RUN, **files, "workdir": str(tmp_path / "run")}
    main(["run", *(f"--{name}={value}" for name, value in flags.items() if value is not None)])

    # The command draws the validation pixels itself: a run in memory on those it has drawn.
    with np.load(tmp_path / "run" / "prediction.npz") as arrays:
        ids = {name: np.flatnonzero(arrays[name]) for name in ("train", "validation", "test")}
    drawn = dataclasses.replace(split, **{name: np.int32(each) for name, each in ids.items()})
    options = RunOptions.of(**RUN, workdir=str(tmp_path / "again"))
    result = session.run(options, scene=scene, split=drawn)
    told = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert list(result.summary.losses_first_steps) == told["losses_first_steps"]
    assert result.summary.overall_accuracy == told["overall_accuracy"]
    assert same_bits(result.folder, tmp_path / "run")


def test_the_folder_holds_what_is_returned(done, scene):
    assert RunOptions.of(**json.loads((done.folder / "config.json").read_text())).data.dataset == (
        "given"
    )
    with np.load(done.folder / "prediction.npz") as arrays:
        found = done.model.label_ids(done.model.predict(scene))
        np.testing.assert_array_equal(found, arrays["prediction"])
        np.testing.assert_array_equal(arrays["truth"], scene.original_labels(scene.labels))


def test_stopped_it_goes_on_to_the_same_bits(done, scene, split, tmp_path, monkeypatch):
    append = RunFolder.append_record

    def append_and_stop(folder, record):
        append(folder, record)
        if isinstance(record, Step) and record.step == 3:
            signal.raise_signal(signal.SIGTERM)

    options = RunOptions.of(**RUN, workdir=str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_record", append_and_stop)
        with pytest.raises(SystemExit):
            session.run(options, scene=scene, split=split)
    again = with_values(options, resume=True, profile="1")
    other = Scene.from_arrays("other", scene.cube + 1, scene.original_labels(scene.labels))
    with pytest.raises(InputError, match="SHA-256"):
        session.run(again, scene=other, split=split)
    with pytest.raises(InputError, match="dataset"):
        session.run(again)
    result = session.run(again, scene=scene, split=split)
    assert result.summary.timed_steps == 2
    assert result.summary.losses_first_steps == done.summary.losses_first_steps
    assert same_bits(result.folder, done.folder)


def test_a_map_of_its_own_scene_needs_the_scene(done, scene, tmp_path):
    output = str(tmp_path / "map.npy")
    with pytest.raises(InputError, match="`cube`"):
        predict(PredictOptions(run=str(done.folder), output=output))
    np.save(tmp_path / "cube.npy", scene.cube)
    predict(PredictOptions(run=str(done.folder), cube=str(tmp_path / "cube.npy"), output=output))
    expected = done.model.label_ids(done.model.predict(scene))
    np.testing.assert_array_equal(np.load(output), expected)


def test_options_that_would_have_no_effect_are_refused(scene, split, tmp_path):
    for given in ({"nodata": "0"}, {"dataset": "ksc", "data_dir": "x"}):
        with pytest.raises(InputError, match="`dataset`=given"):
            session.run(RunOptions.of(**{"dataset": "ksc"} | given), scene=scene, split=split)
    images = RunOptions.of(dataset="folder", data_dir=str(tmp_path), workdir=str(tmp_path / "run"))
    with pytest.raises(InputError, match="`split`"):
        session.run(images, split=split)
    assert not (tmp_path / "run").exists()


def test_a_split_alone_is_of_the_scene_that_the_options_name(tmp_path):
    scene = synthetic_scene()
    drawn = random_split(scene.labels, 3, train_fraction=0.02)
    options = RunOptions.of(**RUN | {"steps": 1}, workdir=str(tmp_path))
    counts = session.run(options, split=drawn).summary.split.counts
    assert counts == {"train": len(drawn.train), "validation": 0, "test": len(drawn.test)}
