"""Runs without labels, and those that start from them."""

import dataclasses
import json
import signal

import numpy as np
import pytest

from hsi_jax import session
from hsi_jax.commands.report import main as report
from hsi_jax.commands.run import main
from hsi_jax.data import Scene, random_split
from hsi_jax.errors import InputError
from hsi_jax.evaluate.run_files import read_run
from hsi_jax.run import RunFolder
from hsi_jax.run.records import Reconstruction, Step
from hsi_jax.session import RunOptions, train_scene
from hsi_jax.session.map_inputs import load_model
from hsi_jax.session.training import Recorder
from hsi_jax.train import Recipe
from hsi_jax.trained import TrainedModel

pytestmark = pytest.mark.slow

SMALL = {
    "model": "mlp",
    "model_options": "hidden=(8, 6); dropout=0.5",
    "patch_size": 3,
    "batch_size": 24,
    "microbatch_size": 8,
    "steps": 6,
    "profile": "2:1",
    "figures": "none",
    "checkpoint_every": 2,
}
PRETRAIN = {**SMALL, "task": "pretrain", "components": 0, "mask_group": 1}
START = {name: SMALL[name] for name in ("batch_size", "microbatch_size", "steps", "figures")}


@pytest.fixture(scope="module")
def scene():
    """Two classes whose spectra differ, and pixels without data."""
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 4, 7]), (12, 14), p=[0.2, 0.4, 0.4])
    cube = rng.normal(0, 0.3, (12, 14, 5)) + (labels == 4)[..., None] * np.arange(5)
    nodata = np.zeros((12, 14), bool)
    nodata[0] = True
    return Scene.from_arrays(
        "field",
        cube.astype(np.float32),
        labels,
        nodata=nodata,
        wavelengths=500 + 50.0 * np.arange(5),
    )


@pytest.fixture(scope="module")
def pretrained(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    options = RunOptions.of(**{**PRETRAIN, "figures": "png"}, workdir=str(folder))
    return session.run(options, scene=dataclasses.replace(scene, labels=None))


def weights(folder):
    with np.load(folder / "model" / "weights.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays}


def test_a_scene_without_labels_is_learnt_from(pretrained):
    summary, folder = pretrained.summary, pretrained.folder
    assert summary.split.counts == {"train": 139, "validation": 15, "test": 0}
    assert summary.reconstruction.pixels == 15
    assert len(summary.reconstruction.per_band) == 5
    assert 0 < summary.reconstruction.error < np.inf
    told = json.loads((folder / "summary.json").read_text())
    assert not [
        name for name in told if "accuracy" in name or name in ("kappa", "confusion_matrix")
    ]
    assert "test pixels of any split" in told["split"]["remarks"][0]
    records = RunFolder.of_run(folder).read_records()
    errors = [record for record in records if isinstance(record, Reconstruction)]
    assert len([record for record in records if isinstance(record, Step)]) == 6
    assert errors[-1].error == summary.reconstruction.error
    assert min(record.error for record in errors) == summary.reconstruction.error


def test_its_files_and_its_page_tell_of_errors_and_not_of_accuracy(pretrained, tmp_path):
    files = read_run(pretrained.folder)
    assert files.summary is None
    assert files.pretraining == pretrained.summary
    assert files.missing == []
    for name in ("curves", "reconstruction", "band_errors", "shares"):
        assert (pretrained.folder / f"{name}.png").stat().st_size > 1000
    page = tmp_path / "report.html"
    report(["report", str(pretrained.folder), f"--output={page}"])
    text = page.read_text()
    assert "Reconstruction error" in text
    assert f"{pretrained.summary.reconstruction.error:.4f}" in text
    assert "What it fills in" in text
    assert "Overall accuracy" not in text


def test_the_encoder_predicts_no_classes(pretrained, scene):
    with pytest.raises(InputError, match="encoder that was trained without labels, and has no cl"):
        load_model(str(pretrained.folder), "")
    loaded = TrainedModel.load(pretrained.folder / "model")
    assert "to what is hidden" in repr(loaded)
    for ask in (loaded.predict, loaded.predict_probabilities, loaded.evaluate):
        with pytest.raises(InputError, match="no classes to predict"):
            ask(scene)


@pytest.mark.long
@pytest.mark.parametrize("profile", ["1", "1:1:1"])
def test_every_profile_gives_the_same_bits(pretrained, scene, tmp_path, profile):
    options = RunOptions.of(**{**PRETRAIN, "profile": profile}, workdir=str(tmp_path / "run"))
    done = session.run(options, scene=scene)
    assert weights(done.folder) == weights(pretrained.folder)
    assert done.summary.reconstruction == pretrained.summary.reconstruction


def test_a_stopped_run_is_resumed_to_the_same_bits(pretrained, scene, tmp_path):
    own, options = Recorder.on_step, {**PRETRAIN, "workdir": str(tmp_path / "run")}

    def on_step(self, step, loss, seconds):
        own(self, step, loss, seconds)
        if step == 2:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "on_step", on_step)
        with pytest.raises(SystemExit):
            session.run(RunOptions.of(**options), scene=scene)
    done = session.run(RunOptions.of(**options, resume=True), scene=scene)
    assert weights(done.folder) == weights(pretrained.folder)
    assert done.summary.steps == 6


def test_test_pixels_that_are_not_to_be_seen_decide_nothing(scene, tmp_path):
    """Other values of the test pixels give the same encoder, bit for bit."""
    split = random_split(scene.labels, 3, train_fraction=0.4)
    cube = np.array(scene.cube)
    cube.reshape(-1, 5)[split.test] += 1000.0
    found = []
    for number, values in enumerate((scene.cube, cube)):
        options = RunOptions.of(
            **PRETRAIN, pretrain_on="without_test", workdir=str(tmp_path / str(number))
        )
        done = session.run(options, scene=dataclasses.replace(scene, cube=values), split=split)
        found.append(weights(done.folder))
        assert done.summary.split.counts["test"] == len(split.test)
        assert done.summary.split.kind == "without the test pixels of a random split"
    assert found[0] == found[1]
    model = TrainedModel.load(tmp_path / "0" / "model")
    trained = train_scene(scene, split, init=model, recipe=Recipe(steps=1, batch_size=8))
    assert trained.model.description.provenance.test_digest
    options = RunOptions.of(**START, init=str(tmp_path / "0"), workdir=str(tmp_path / "new"))
    done = session.run(options, scene=scene, split=split)
    assert done.summary.split.remarks[-1].endswith("these data, without these test samples.")


def test_a_classifier_starts_from_it_and_the_frozen_rest_keeps_its_bits(
    pretrained, scene, tmp_path, capsys
):
    options = RunOptions.of(
        **START, init=str(pretrained.folder), freeze=True, workdir=str(tmp_path / "run")
    )
    done = session.run(options, scene=scene)
    assert done.summary.model == "mlp"
    assert "it has seen the test pixels" in done.summary.split.remarks[-1]
    before, after = weights(pretrained.folder), weights(done.folder)
    same = {
        name
        for name in after
        if before.get(name.replace("params/", "params/encoder/")) == after[name]
    }
    encoder = {name for name in after if name.startswith(("params/Dense_0", "params/Dense_1"))}
    assert encoder
    assert encoder <= same
    assert not done.model.description.provenance.test_digest
    assert done.summary.remarks[-1].endswith("5 of its 5 bands matched by wavelength")
    said = capsys.readouterr().out
    assert (
        "Start    mlp pretrained on field; a new head, which alone is trained; 5 of its 5" in said
    )


def test_train_scene_starts_from_a_model(pretrained, scene):
    split = random_split(scene.labels, 3, train_fraction=0.4)
    given = {"init": pretrained.model, "recipe": Recipe(steps=2, batch_size=8)}
    whole = train_scene(scene, split, **given)
    frozen = train_scene(scene, split, freeze=True, **given)
    own = pretrained.model.params["encoder"]["Dense_0"]["kernel"]
    assert np.array_equal(frozen.model.params["Dense_0"]["kernel"], own)
    assert not np.array_equal(whole.model.params["Dense_0"]["kernel"], own)
    again = train_scene(scene, split, init=whole.model, recipe=Recipe(steps=1, batch_size=8))
    assert again.fitted.losses[0] != whole.fitted.losses[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "pretrain", "dataset": "eurosat"}, "goes with scenes, not with sets of images"),
        (
            {"task": "pretrain", "init": "runs/x"},
            "`init`=runs/x has no effect with `task`=pretrain",
        ),
        ({"task": "pretrain", "loss": "focal"}, "`loss`=focal has no effect"),
        ({"task": "pretrain", "split": "disjoint"}, "`split`=disjoint: `task`=pretrain on all"),
        ({"mask_bands": 0.3}, "`mask_bands`=0.3 goes with `task`=pretrain"),
        ({"pretrain_on": "without_test"}, "`pretrain_on`=without_test goes with"),
        ({"freeze": True}, "`freeze` goes with `init`"),
        ({"init": "runs/x", "components": 3}, "`components`=3: with `init`"),
        ({"dataset": "file", "cube": "x.npy"}, "needs both `cube`=FILE and `labels`=FILE"),
    ],
)
def test_options_that_contradict_each_other_are_named(given, message):
    with pytest.raises(InputError, match=message):
        RunOptions.of(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "cnn2d"}, "`model`=cnn2d: the model of .* has mlp; leave it out"),
        ({"patch_size": 5}, "`patch_size`=5: the model of .* has 3"),
        ({"dataset": "eurosat"}, "takes patches of a scene"),
    ],
)
def test_options_that_the_model_decides_are_refused(pretrained, given, message):
    with pytest.raises(InputError, match=message):
        session.run(RunOptions.of(init=str(pretrained.folder), **given))


@pytest.mark.parametrize("flag", ["--task=pretrain", "--init=x"])
def test_baselines_have_no_encoder(flag, capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["run", "--model=svm", flag, f"--workdir={tmp_path}/run"])
    assert "error: " in capsys.readouterr().err
