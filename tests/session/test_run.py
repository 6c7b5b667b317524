import json
import math
import re
import shutil
import signal

import numpy as np
import pytest
import scipy.io
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.metrics import cohen_kappa_score
from sklearn.metrics import confusion_matrix as count_confusions

from hsi_jax.data.scene.synthetic import synthetic_scene
from hsi_jax.errors import DivergenceError, InputError
from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.options import with_values
from hsi_jax.run import RunFolder
from hsi_jax.run.folder import RESULTS
from hsi_jax.run.records import Step
from hsi_jax.run.summary import read_summary
from hsi_jax.run.summary_parts import Leakage
from hsi_jax.session import setup
from hsi_jax.session.loading import open_scene
from hsi_jax.session.options import RunOptions
from hsi_jax.session.summarise_devices import model_times
from hsi_jax.trained import TrainedModel
from tests.session.runs import run

pytestmark = pytest.mark.slow

PICTURES = ("confusion", "curves", "map", "reliability", "shares", "spectra")
SCENE_RESULTS = (*RESULTS, *(f"{name}.png" for name in PICTURES))
STEPS = 22  # more than losses_first_steps holds
PATCH_SIZE = 5

# 60 samples in microbatches of 16: the last one is partial.
BASE = {
    "model": "mlp",
    "model_options": "hidden=(16, 8)",  # with dropout, whose keys must not depend on the split
    "patch_size": PATCH_SIZE,
    "components": 6,
    "batch_size": 60,
    "microbatch_size": 16,
    "steps": STEPS,
    "optimizer": "sgd",
    "learning_rate": 0.05,
}
# Without dropout, because it compiles four times as fast; pictures take as long as a short run.
CHEAP = {
    "figures": "none",
    "model": "mlp",
    "model_options": "hidden=(16, 8); dropout=0",
    "profile": "2:1",
    "batch_size": 64,
    "steps": 4,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Configuration, summary and folder of the run that most tests look at."""
    path = tmp_path_factory.mktemp("base")
    options = RunOptions.of(**BASE, profile="2:1:1", workdir=str(path))
    return options, run(options), path


@pytest.fixture
def earlier(base, tmp_path):
    """A copy of that run's folder, with a file in it that is not the program's."""
    path = shutil.copytree(base[2], tmp_path / "earlier")
    (path / "notes.txt").write_text("mine")
    return path


def read_json(path):
    return json.loads(path.read_text())


def read_metrics(folder):
    """The records of metrics.jsonl as strict JSON, which has no NaN."""

    def refuse(token):
        raise AssertionError(f"{token} in metrics.jsonl")

    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def read_arrays(path):
    with np.load(path) as arrays:
        return dict(arrays)


def best_validated(records):
    validations = [record for record in records if record.get("set") == "validation"]
    return max(validations, key=lambda record: (record["overall_accuracy"], -record["loss"]))


def contents(folder):
    """Files by name; the checkpoints have tests of their own."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_folder_holds_every_result_and_nothing_else(base):
    _, _, folder = base
    assert {path.name for path in folder.iterdir()} == {*SCENE_RESULTS, "checkpoints", "model"}
    for name in SCENE_RESULTS:
        assert (folder / name).stat().st_size > 0
        if name.endswith(".png"):
            assert (folder / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_config_json_is_the_config(base):
    options, _, folder = base
    assert RunOptions.of(**read_json(folder / "config.json")) == with_values(options, kernels="xla")


def test_summary_json_is_what_run_returns(base):
    _, summary, folder = base
    assert read_summary(folder / "summary.json") == summary


def test_the_summary_tells_how_the_run_was_made(base):
    _, summary, _ = base
    shares = (2, 1, 1)  # of four microbatches; the last one has 12 of the 60 samples
    assert summary.scheme == "balanced"
    assert summary.profile == "2:1:1"
    assert summary.speeds == (2, 1, 1)
    assert summary.shares == shares
    assert summary.weights == pytest.approx((32 / 60, 16 / 60, 12 / 60))
    assert (summary.num_devices, len(summary.device_names)) == (3, 3)
    assert (summary.batch_size, summary.microbatch_size) == (60, 16)
    assert (summary.steps, summary.interrupted) == (STEPS, False)
    assert summary.input_shape == (PATCH_SIZE, PATCH_SIZE, 6)
    inputs, classes = PATCH_SIZE**2 * 6, 9
    assert summary.parameters == (inputs + 1) * 16 + (16 + 1) * 8 + (8 + 1) * classes
    assert {"python", "hsi_jax", "jax", "jaxlib", "flax", "optax"} <= set(summary.versions)
    assert summary.note == synthetic_scene().note
    assert len(summary.class_names) == len(summary.class_ids) == classes


def test_the_summary_keeps_measured_and_modelled_times_apart(base):
    _, summary, _ = base
    assert summary.modelled_device_times == (1, 1, 1)
    assert summary.modelled_step_time == 1
    # Even shares are 2, 1 and 1 as well: there are four microbatches for three devices.
    assert summary.modelled_speedup_over_even == 1
    assert summary.compile_seconds > 0
    assert summary.step_time_ms_median > 0
    per_second = 60 / (summary.step_time_ms_median / 1e3)
    assert summary.samples_per_second == pytest.approx(per_second)


def test_the_modelled_gain_over_even_shares_is_that_of_the_slowest_device(tmp_path):
    capped = tmp_path / "capped.json"
    capped.write_text('{"devices": [{"speed": 4}, {"speed": 1, "memory_cap": 16}]}')
    # Of four microbatches the fast device takes three or four, 1 at most in time; an equal share of
    # two takes the slow one 2, and more than its memory where that is capped.
    for profile, gain in (("4:1", 2), (str(capped), None)):
        devices = parse_profile(profile)
        plan = make_plan("balanced", devices, batch_size=64, microbatch_size=16)
        modelled = model_times(devices, plan)
        assert modelled.modelled_step_time == 1
        assert modelled.modelled_speedup_over_even == gain


def without_times(records):
    times = ("seconds", "step_seconds")
    return [{k: v for k, v in record.items() if k not in times} for record in records]


def test_the_metrics_have_one_line_per_step(base):
    options, summary, folder = base
    start = read_metrics(folder)[0]
    assert (start["kind"], start["num_steps"]) == ("start", STEPS)
    assert start["data"].keys() == {"cube", "labels", "split"}
    steps = [record for record in read_metrics(folder) if record["kind"] == "step"]
    seconds = [record["step_seconds"] for record in steps]
    assert min(seconds) > 0
    assert [record["seconds"] for record in steps] == pytest.approx(np.cumsum(seconds))
    assert summary.step_time_ms_median == pytest.approx(1e3 * np.median(seconds))
    assert [record["step"] for record in steps] == list(range(STEPS))
    losses = [record["loss"] for record in steps]
    assert summary.losses_first_steps == losses[:20]
    assert len(summary.losses_first_steps) == 20
    assert summary.final_loss == losses[-1]
    cosine = [
        options.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        for step in range(STEPS)
    ]
    assert [record["learning_rate"] for record in steps] == pytest.approx(cosine, abs=1e-8)


def test_the_metrics_tell_of_each_epoch_and_of_one_test(base):
    _, summary, folder = base
    records = [record for record in read_metrics(folder) if record["kind"] == "evaluation"]
    validations = [record for record in records if record["set"] == "validation"]
    epoch = math.ceil(summary.split.counts["train"] / 60)
    expected = sorted({*range(epoch, STEPS + 1, epoch), STEPS})
    assert [record["step"] for record in validations] == expected
    assert summary.best_step == best_validated(records)["step"]
    (test,) = (record for record in records if record["set"] == "test")
    assert records[-1] == test
    assert (test["step"], test["loss"]) == (summary.best_step, summary.test_loss)
    for key in ("overall_accuracy", "average_accuracy", "kappa"):
        assert test[key] == getattr(summary, key)


def test_the_accuracies_are_those_of_the_saved_map(base):
    _, summary, folder = base
    arrays = read_arrays(folder / "prediction.npz")
    truth, predicted = (arrays[key][arrays["test"]] for key in ("truth", "prediction"))
    confusion = np.array(summary.confusion_matrix)
    assert confusion.sum() == summary.split.counts["test"] == arrays["test"].sum()
    ids = list(summary.class_ids)
    np.testing.assert_array_equal(confusion, count_confusions(truth, predicted, labels=ids))
    assert summary.overall_accuracy == np.mean(truth == predicted)
    per_class = [np.mean(predicted[truth == label] == label) for label in ids]
    assert summary.per_class_accuracy == pytest.approx(per_class)
    assert summary.average_accuracy == pytest.approx(np.mean(per_class))
    assert summary.kappa == pytest.approx(cohen_kappa_score(truth, predicted))


def test_the_saved_map_covers_the_scene(base):
    _, _, folder = base
    scene, arrays = synthetic_scene(), read_arrays(folder / "prediction.npz")
    np.testing.assert_array_equal(arrays["truth"], scene.labels + 1)
    assert arrays["prediction"].shape == scene.labels.shape
    assert set(np.unique(arrays["prediction"])) <= set(scene.class_ids)
    sets = sum(arrays[name].astype(int) for name in ("train", "validation", "test"))
    np.testing.assert_array_equal(sets, scene.labels >= 0)


def test_the_saved_spectra_are_those_of_the_labelled_pixels(base):
    _, _, folder = base
    scene, arrays = synthetic_scene(), read_arrays(folder / "spectra.npz")
    for index in range(scene.num_classes):
        pixels = scene.cube[scene.labels == index].astype(np.float64)
        np.testing.assert_allclose(arrays["mean"][index], pixels.mean(0), rtol=1e-5)
        np.testing.assert_allclose(arrays["deviation"][index], pixels.std(0), rtol=1e-4)


def test_the_split_is_reported_with_its_leakage(base):
    _, summary, folder = base
    arrays, split = read_arrays(folder / "prediction.npz"), summary.split
    assert split.kind == "random"
    assert split.counts == {
        name: int(arrays[name].sum()) for name in ("train", "validation", "test")
    }
    for name, counts in split.counts_per_class.items():
        expected = [np.sum(arrays[name] & (arrays["truth"] == k)) for k in summary.class_ids]
        assert counts == expected

    def near(seen):
        padded = np.pad(seen, PATCH_SIZE // 2)
        return sliding_window_view(padded, (PATCH_SIZE, PATCH_SIZE)).any(axis=(2, 3))

    leaking = int(near(arrays["train"] | arrays["validation"])[arrays["test"]].sum())
    validating = int(near(arrays["train"])[arrays["validation"]].sum())
    assert 0 < leaking < split.counts["test"]
    assert 0 < validating <= split.counts["validation"]
    assert split.leakage == Leakage(
        test_pixels_with_training_pixel_in_patch=leaking,
        fraction_of_test_pixels=leaking / split.counts["test"],
        patch_size=PATCH_SIZE,
        validation_pixels_with_training_pixel_in_patch=validating,
        fraction_of_validation_pixels=validating / split.counts["validation"],
    )


def test_another_profile_gives_the_same_bits(base, tmp_path):
    _, expected, folder = base
    summary = run(RunOptions.of(**BASE, profile="5:1", figures="none", workdir=str(tmp_path)))
    assert summary.shares != expected.shares
    for key in ("losses_first_steps", "final_loss", "test_loss", "best_step", "confusion_matrix"):
        assert getattr(summary, key) == getattr(expected, key)
    assert without_times(read_metrics(tmp_path)) == without_times(read_metrics(folder))
    for name in ("model/weights.npz", "prediction.npz"):
        here, there = read_arrays(tmp_path / name), read_arrays(folder / name)
        assert here.keys() == there.keys()
        for key, array in here.items():
            assert array.dtype == there[key].dtype
            np.testing.assert_array_equal(array, there[key])


def test_even_weights_give_another_training(base, tmp_path):
    _, balanced, _ = base
    options = BASE | {"scheme": "even", "figures": "none"}
    options = RunOptions.of(**options, profile="2:1:1", workdir=str(tmp_path))
    summary = run(options)
    assert summary.shares == balanced.shares
    assert summary.weights == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    pairs = zip(summary.losses_first_steps, balanced.losses_first_steps, strict=True)
    assert all(one != other for one, other in pairs)


def test_the_saved_parameters_are_named_by_layer(base):
    _, summary, folder = base
    arrays = read_arrays(folder / "model" / "weights.npz")
    layers = {f"params/Dense_{i}/{name}" for i in range(3) for name in ("kernel", "bias")}
    assert {name for name in arrays if name.startswith("params/")} == layers
    assert sum(arrays[name].size for name in layers) == summary.parameters


def test_the_saved_model_gives_the_map_of_the_run(base):
    _, summary, folder = base
    model = TrainedModel.load(folder / "model")
    classes = model.predict(synthetic_scene().cube)
    np.testing.assert_array_equal(
        model.label_ids(classes), read_arrays(folder / "prediction.npz")["prediction"]
    )
    provenance = model.description.provenance
    assert provenance.steps == summary.best_step
    assert provenance.test["overall_accuracy"] == summary.overall_accuracy
    assert (provenance.split, provenance.counts) == (summary.split.kind, summary.split.counts)


def test_a_folder_that_holds_something_is_refused(base, earlier):
    before = contents(earlier)
    with pytest.raises(InputError, match="overwrite"):
        run(RunOptions.of(**CHEAP, workdir=str(earlier)))
    assert contents(earlier) == before


def test_a_folder_that_is_not_of_a_run_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="thesis"):
        run(RunOptions.of(**CHEAP, workdir=str(tmp_path)))
    with pytest.raises(InputError, match=r"holds thesis\.tex"):
        run(RunOptions.of(**CHEAP, workdir=str(tmp_path), overwrite=True))
    assert contents(tmp_path) == {"thesis.tex": b"mine"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "run"
    with pytest.raises(InputError, match="cannot be written") as caught:
        run(RunOptions.of(**CHEAP, workdir=str(below)))
    assert f"`workdir`={below}" in str(caught.value)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"train_per_class": 100_000}, "100000"),
        ({"dataset": "file", "cube": "nope.npy", "labels": "nope.npy"}, r"no file nope\.npy"),
        ({"dataset": "ksc", "data_dir": "/nope"}, "no data folder /nope"),
        ({"split": "disjoint", "block_size": 200}, "block_size"),
        ({"components": 65}, "components"),
        ({"model": "cnn1d", "model_options": "", "patch_size": 3}, "patch_size"),
        ({"model": "cnn2d", "model_options": "", "patch_size": 97}, "larger than the scene"),
        ({"profile": "1:1:1:1:1"}, "the profile has 5 devices but JAX has 4"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mistake_leaves_the_earlier_run_alone(earlier, mistake, message):
    before = contents(earlier)
    with pytest.raises(InputError, match=message):
        run(RunOptions.of(**CHEAP | mistake, workdir=str(earlier), overwrite=True))
    assert contents(earlier) == before


# Twelve rows, twenty columns, three classes with ids as a user's file may have them.
CLASS_IDS = (3, 7, 250)


def user_scene():
    """A cube whose spectra tell its label map, which has a border without labels."""
    rng = np.random.default_rng(5)
    labels = rng.choice(np.array([*CLASS_IDS], np.uint8), size=(12, 20))
    shape_of_class = {3: (0, 1, 2, 3, 4), 7: (4, 3, 2, 1, 0), 250: (0, 4, 0, 4, 0)}
    spectra = np.array([shape_of_class[label] for label in labels.flat], np.float32)
    cube = spectra.reshape(12, 20, 5) + rng.normal(0, 0.1, (12, 20, 5))
    labels[0], labels[:, -1] = 0, 0
    return cube.astype(np.float32), labels


def write_scene(folder, kind):
    """Writes the scene in a user's format; returns the fields of RunOptions that name it."""
    cube, labels = user_scene()
    if kind == ".npy":
        np.save(folder / "cube.npy", cube)
        np.save(folder / "labels.npy", labels)
        return {"cube": f"{folder}/cube.npy", "labels": f"{folder}/labels.npy"}
    if kind == ".npz":
        np.savez(folder / "scene.npz", radiance=cube, classes=labels, roi=labels > 0)
        return dict.fromkeys(("cube", "labels"), f"{folder}/scene.npz") | {
            "labels_variable": "classes"
        }
    scipy.io.savemat(folder / "cube.mat", {"data": cube, "dark": cube})
    scipy.io.savemat(folder / "labels.mat", {"gt": labels})
    return {
        "cube": f"{folder}/cube.mat",
        "labels": f"{folder}/labels.mat",
        "cube_variable": "data",
    }


@pytest.mark.parametrize("kind", [".npy", ".npz", ".mat"])
def test_a_users_scene_is_read_from_any_format(tmp_path, kind):
    scene = open_scene(RunOptions.of(dataset="file", **write_scene(tmp_path, kind)))
    cube, labels = user_scene()
    np.testing.assert_array_equal(scene.cube, cube)
    np.testing.assert_array_equal(scene.original_labels(scene.labels), labels)
    assert scene.class_ids == CLASS_IDS


def test_a_users_scene_and_split_replace_an_earlier_run(earlier, tmp_path):
    _, labels = user_scene()
    train = np.zeros(labels.shape, bool)
    train[1:6, :19] = True
    test = (labels > 0) & ~train
    np.savez(tmp_path / "split.npz", train=train, test=test)
    files = write_scene(tmp_path, ".mat")
    options = CHEAP | {"steps": 30, "learning_rate": 0.02, "microbatch_size": 32, "figures": "png"}
    options = RunOptions.of(
        dataset="file",
        **files,
        split=str(tmp_path / "split.npz"),
        **options,
        workdir=str(earlier),
        overwrite=True,
    )
    before = contents(earlier)
    summary = run(options)

    after = contents(earlier)
    assert after.pop("notes.txt") == before.pop("notes.txt") == b"mine"
    assert after.keys() == set(SCENE_RESULTS)
    assert all(after[name] != before[name] for name in SCENE_RESULTS)
    options = with_values(options, kernels="xla")  # those that were taken
    assert RunOptions.of(**read_json(earlier / "config.json")) == options
    records = read_metrics(earlier)
    assert len([r for r in records if r["kind"] == "step"]) == 30
    perfect = [r for r in records if r.get("set") == "validation" and r["overall_accuracy"] == 1]
    assert len(perfect) > 1  # so the loss decides
    assert summary.best_step == best_validated(records)["step"]

    assert summary.split.kind == "file"
    assert summary.split.counts["test"] == test.sum()
    assert summary.class_ids == CLASS_IDS
    assert summary.class_names == ("class 3", "class 7", "class 250")
    arrays = read_arrays(earlier / "prediction.npz")
    np.testing.assert_array_equal(arrays["truth"], labels)
    np.testing.assert_array_equal(arrays["train"] | arrays["validation"], train)
    np.testing.assert_array_equal(arrays["test"], test)
    # The classes are far apart, so a map in the wrong order or with the wrong ids would show.
    assert summary.overall_accuracy == 1
    np.testing.assert_array_equal(arrays["prediction"][labels > 0], labels[labels > 0])


def test_a_disjoint_split_leaks_nothing_and_needs_no_validation(tmp_path):
    options = CHEAP | {"split": "disjoint", "patch_size": 7, "steps": None, "epochs": 2}
    summary = run(RunOptions.of(**options, validation_fraction=0.0, workdir=str(tmp_path)))
    assert summary.steps == math.ceil(2 * summary.split.counts["train"] / 64)
    assert summary.split.kind == "disjoint"
    assert summary.split.leakage.test_pixels_with_training_pixel_in_patch == 0
    assert summary.split.counts["validation"] == 0
    assert summary.best_step == summary.steps
    evaluated = [r["set"] for r in read_metrics(tmp_path) if r["kind"] == "evaluation"]
    assert evaluated == ["test"]


def test_training_that_diverges_says_so(earlier):
    options = CHEAP | {"optimizer": "sgd", "learning_rate": 1e30}
    with pytest.raises(DivergenceError, match=r"loss of step 1 is nan, .*learning_rate"):
        run(RunOptions.of(**options, workdir=str(earlier), overwrite=True))
    # What is left does not pass for the results of this run.
    left = {path.name for path in earlier.iterdir()}
    assert left == {"config.json", "profile.json", "metrics.jsonl", "notes.txt"}
    steps = [r for r in read_metrics(earlier) if r["kind"] == "step"]
    assert [r["loss"] is None for r in steps] == [False, True]


def test_a_last_update_that_diverges_says_so(tmp_path):
    options = CHEAP | {"optimizer": "sgd", "learning_rate": 1e30, "steps": 1}
    with pytest.raises(DivergenceError, match=r"samples is nan: .*learning_rate"):
        run(RunOptions.of(**options, workdir=str(tmp_path)))


def test_the_microbatch_size_is_chosen_by_what_is_measured(monkeypatch, capsys, tmp_path):
    measured = {4: 100.0, 8: 200.0, 16: 900.0, 32: 950.0, 64: 2000.0}

    def measure(replicas, state, ids, sizes):
        assert len(ids) == 128
        return {size: measured[size] for size in sizes}

    monkeypatch.setattr(setup, "measure_throughputs", measure)
    options = CHEAP | {"batch_size": 128, "microbatch_size": "auto", "profile": "1:1"}
    summary = run(RunOptions.of(**options, workdir=str(tmp_path)))
    # 128 samples on 2 devices leave 4 microbatches each of up to 16 samples.
    assert summary.microbatch_size == 16
    assert read_json(tmp_path / "config.json")["microbatch_size"] == 16
    assert sum(summary.shares) == 8
    assert re.search(r"^ +16 +900 +chosen$", capsys.readouterr().out, re.MULTILINE)
    expected = run(
        RunOptions.of(**options | {"microbatch_size": 16}, workdir=str(tmp_path / "given"))
    )
    assert summary.losses_first_steps == expected.losses_first_steps


def test_ctrl_c_keeps_what_was_trained(base, monkeypatch, tmp_path):
    append = RunFolder.append_record

    def append_and_press(folder, record):
        append(folder, record)
        if isinstance(record, Step) and record.step == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunFolder, "append_record", append_and_press)
    before = signal.getsignal(signal.SIGINT)
    summary = run(RunOptions.of(**CHEAP | {"steps": 1000}, workdir=str(tmp_path)))
    assert signal.getsignal(signal.SIGINT) is before
    assert (summary.interrupted, summary.steps) == (True, 3)
    assert {path.name for path in tmp_path.iterdir()} == {*RESULTS, "checkpoints", "model"}
    assert read_json(tmp_path / "summary.json")["interrupted"] is True
    steps = [r["step"] for r in read_metrics(tmp_path) if r["kind"] == "step"]
    assert steps == [0, 1, 2]


def test_a_scene_of_the_catalogue_is_read_from_its_folder(real_data):
    scene = open_scene(RunOptions.of(dataset="salinas_a", data_dir=str(real_data)))
    assert scene.shape == (83, 86, 204)
    assert scene.num_classes == 6
