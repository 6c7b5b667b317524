"""A trained model: the same after saving and loading, in this process or another."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flax import linen as nn

from hsi_jax.data import ReadOptions, Scene, hold_out, random_split, synthetic_scene
from hsi_jax.errors import InputError, StorageError
from hsi_jax.run import Checkpoints
from hsi_jax.run.manifest import write_manifest
from hsi_jax.session import train_scene
from hsi_jax.session.options import RunOptions
from hsi_jax.train import Recipe
from hsi_jax.trained import TrainedModel
from tests.session.runs import run
from tests.train.small_scene import assert_same_bits

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(steps=60, batch_size=48, microbatch_size=8, learning_rate=0.03)
IDS = (2, 7, 30)


class Own(nn.Module):
    """A network of my own."""

    num_classes: int
    hidden: int = 4

    @nn.compact
    def __call__(self, patches, *, train=False, mask=None):
        x = nn.relu(nn.Dense(self.hidden)(patches.reshape(len(patches), -1)))
        return nn.Dense(self.num_classes)(x)


@pytest.fixture(scope="module")
def scene():
    """Three classes whose spectra differ, with ids as a user's file has them."""
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array(IDS), (20, 24))
    labels[:2] = 0
    spectra = {0: (0, 0, 0, 0), 2: (0, 1, 2, 3), 7: (3, 2, 1, 0), 30: (0, 3, 0, 3)}
    cube = np.array([spectra[int(label)] for label in labels.flat], float).reshape(20, 24, 4)
    wavelengths = np.array([450.0, 550, 650, 850])
    noisy = cube + rng.normal(0, 0.2, cube.shape)
    return Scene.from_arrays("toy", noisy, labels, wavelengths=wavelengths)


@pytest.fixture(scope="module")
def split(scene):
    return hold_out(random_split(scene.labels, 0, train_fraction=0.3), scene.labels, 0.2, 0)


@pytest.fixture(scope="module", params=["cnn2d", "mlp", "own"])
def model(request, scene, split):
    """One with running statistics and principal components, one without, and one of my own."""
    given = {
        "cnn2d": {"options": "features=(4, 4, 8); hidden=8", "patch_size": 3, "components": 3},
        "mlp": {"model": "mlp", "options": "hidden=(8, 8); dropout=0", "components": 0},
        "own": {"model": f"{__name__}:Own", "options": "hidden=6", "patch_size": 1},
    }[request.param]
    return train_scene(scene, split, profile="2:1", recipe=RECIPE, **given).model


def test_what_is_saved_comes_back(model, scene, split, tmp_path):
    model.save(tmp_path / "model")
    again = TrainedModel.load(tmp_path / "model", factory=model.factory)
    assert again.description == model.description
    assert_same_bits((again.params, again.batch_stats), (model.params, model.batch_stats))
    assert_same_bits(again.predict_probabilities(scene), model.predict_probabilities(scene))
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert files == {"model.json", "weights.npz", "manifest.json"}


def test_it_learns_and_knows_where_it_comes_from(model, scene, split):
    assert model.evaluate(scene, split.test).scores.overall_accuracy > 0.8
    description, provenance = model.description, model.description.provenance
    assert (description.class_ids, description.num_bands) == (IDS, 4)
    assert description.wavelengths == (450, 550, 650, 850)
    assert len(set(description.colours)) == 3
    assert (provenance.dataset, provenance.split, provenance.seed) == ("toy", "random", 0)
    assert 0 < provenance.steps <= 60
    assert {"hsi_jax", "jax", "flax"} <= set(provenance.versions)


PREDICT = """
import sys
import numpy as np
from hsi_jax.trained import TrainedModel
model = TrainedModel.load(sys.argv[1], factory=sys.argv[4] or None)
cube = np.load(sys.argv[2])
np.savez(sys.argv[3], classes=model.predict(cube), probabilities=model.predict_probabilities(cube))
"""


def test_a_fresh_process_predicts_the_same_bits(model, scene, tmp_path):
    model.save(tmp_path / "model")
    np.save(tmp_path / "cube.npy", scene.cube)
    names = (tmp_path / name for name in ("model", "cube.npy", "predicted.npz"))
    factory = f"{__name__}:Own" if model.factory else ""
    command = [sys.executable, "-c", PREDICT, *map(str, names), factory]
    # Two processes, because this one may have devices that another would not have.
    results = []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "predicted.npz") as arrays:
            results.append(dict(arrays))
    for name in ("classes", "probabilities"):
        assert results[0][name].tobytes() == results[1][name].tobytes()
    assert np.array_equal(results[0]["classes"], model.predict(scene))
    np.testing.assert_allclose(
        results[0]["probabilities"], model.predict_probabilities(scene), rtol=1e-5, atol=1e-6
    )


def test_devices_do_not_matter(model, scene):
    one = model.predict_probabilities(scene, devices=1)
    for devices in (2, 3, 4):
        assert_same_bits(model.predict_probabilities(scene, devices=devices), one)
    classes = model.predict(scene, devices=3)
    assert np.array_equal(classes, one.argmax(-1))
    np.testing.assert_allclose(one.sum(-1), 1, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*wavelengths in the model alone")
def test_a_scene_without_labels_predicts(model, scene):
    unlabelled = Scene.from_arrays("unlabelled", scene.cube, None)
    classes = model.predict(unlabelled)
    assert np.array_equal(classes, model.predict(scene))
    assert np.array_equal(classes, model.predict(scene.cube))
    assert classes.shape == (20, 24)
    with pytest.raises(InputError, match="labels"):
        model.evaluate(unlabelled)


@pytest.mark.filterwarnings("ignore:.*wavelengths in the model alone")
def test_pixels_without_data_get_no_class(model, scene):
    nodata = np.zeros((20, 24), bool)
    nodata[5:8, 3] = True
    masked = Scene.from_arrays("masked", scene.cube, None, nodata=nodata)
    classes = model.predict(masked)
    assert np.array_equal(classes == -1, nodata)
    assert np.array_equal(np.isnan(model.predict_probabilities(masked)).all(-1), nodata)
    assert np.array_equal(model.label_ids(classes) == 0, nodata)


def test_a_model_of_some_bands_takes_them_from_a_whole_file(scene, split, tmp_path):
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 5, (20, 24, 2))
    whole = np.concatenate([noise[..., :1], scene.cube, noise[..., 1:]], axis=2)
    ids = scene.original_labels(scene.labels)
    reading = ReadOptions(drop_bands=(0, 5), nodata=(np.nan, -9999.0), unlabelled=(0, 255))
    part = Scene.from_arrays("part", np.moveaxis(whole, 2, 0), ids, reading=reading)
    assert np.array_equal(part.cube, scene.cube)
    model, _ = train_scene(part, split, model="mlp", patch_size=3, recipe=RECIPE)
    model.save(tmp_path / "model")
    model = TrainedModel.load(tmp_path / "model")
    known = model.description
    assert (known.num_bands, known.file_bands, known.kept_bands) == (4, 6, (1, 2, 3, 4))
    assert (known.band_axis, known.unlabelled_id, known.nodata_values) == (0, 0, (None, -9999))
    classes = model.predict(part)
    for other in (whole, scene.cube, Scene.from_arrays("whole", whole)):
        assert np.array_equal(model.predict(other), classes)
    others = Scene.from_arrays("others", whole, reading=ReadOptions(drop_bands=(0, 1)))
    with pytest.raises(InputError, match="drop_bands"):
        model.predict(others)
    with pytest.raises(InputError, match=r"5 bands.*4 of 6"):
        model.predict(whole[..., 1:])


def test_a_scene_with_bands_first_is_refused_with_the_way_to_read_it(model, scene):
    with pytest.raises(InputError, match="`band_axis`=0"):
        model.predict(np.moveaxis(scene.cube, 2, 0))


@pytest.mark.filterwarnings("ignore:.*wavelengths in the model alone")
def test_classes_are_matched_by_their_ids(model, scene, split):
    ids = model.label_ids(scene.labels)
    assert np.array_equal(ids, scene.original_labels(scene.labels))
    kept = np.where(ids == 2, 0, ids)  # the other two keep their ids but not their indexes
    other = Scene.from_arrays("two classes", scene.cube, kept)
    assert other.class_ids == (7, 30)
    found, whole = model.evaluate(other), model.evaluate(scene)
    assert np.array_equal(found.confusion[1:], whole.confusion[1:])
    assert found.confusion[0].sum() == 0
    strange = Scene.from_arrays("strange", scene.cube, np.where(ids == 2, 99, ids))
    with pytest.raises(InputError, match="99"):
        model.evaluate(strange)


def test_other_bands_are_refused(model, scene):
    with pytest.raises(InputError, match=r"3 bands.*4"):
        model.predict(scene.cube[..., :3])


def test_nothing_is_overwritten_unasked(model, tmp_path):
    model.save(tmp_path / "model")
    with pytest.raises(InputError, match="exists already"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", overwrite=True)
    (tmp_path / "thesis").mkdir()
    with pytest.raises(InputError, match="exists already"):
        model.save(tmp_path / "thesis", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        model.save(tmp_path / "file" / "model")


def damage_weights(folder):
    path = folder / "weights.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def change_description(**changes):
    def change(folder):
        path = folder / "model.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        (folder / "manifest.json").unlink()
        write_manifest(folder)

    return change


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage_weights, "damaged: weights.npz"),
        (lambda folder: (folder / "weights.npz").unlink(), "damaged: weights.npz is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "damaged: it has no manifest"),
        (lambda folder: (folder / "model.json").unlink(), "no trained model"),
        (change_description(format=99), "format 99"),
        (change_description(num_bands="many"), "num_bands"),
        (change_description(architecture="nope"), "nope"),
        (change_description(options="hidden=(8, 7); dropout=0.1"), "do not fit"),
        (change_description(class_names=["a", "b"]), "class_ids"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_or_foreign_folder_is_told(harm, message, scene, split, tmp_path):
    options = {"model": "mlp", "options": "hidden=(8, 8); dropout=0", "patch_size": 1}
    recipe = replace(RECIPE, steps=1)
    train_scene(scene, split, recipe=recipe, **options).model.save(tmp_path / "model")
    harm(tmp_path / "model")
    with pytest.raises(InputError, match=message):
        TrainedModel.load(tmp_path / "model")


def test_json_tells_all_but_the_arrays(model, tmp_path):
    model.save(tmp_path / "model")
    told = json.loads((tmp_path / "model" / "model.json").read_text())
    assert told == json.loads(msgspec.json.encode(model.description))
    with np.load(tmp_path / "model" / "weights.npz", allow_pickle=False) as arrays:
        assert all(array.dtype.kind == "f" for array in arrays.values())


def test_five_lines_do_what_a_run_does(tmp_path):
    """The notebook's way and the command's end in the same bits."""
    network = "features=(4, 4, 8); hidden=8"
    options = RunOptions.of(
        model_options=network,
        steps=6,
        batch_size=60,
        profile="2:1",
        figures="none",
        workdir=str(tmp_path / "run"),
    )
    summary = run(options)
    scene = synthetic_scene()
    split = hold_out(random_split(scene.labels, 0, train_fraction=0.1), scene.labels, 0.1, 0)
    recipe = Recipe(steps=6, batch_size=60)
    trained = train_scene(scene, split, options=network, profile="1", recipe=recipe)
    assert trained.fitted.losses == summary.losses_first_steps
    ours = TrainedModel.load(tmp_path / "run" / "model")
    assert_same_bits(trained.model.params, ours.params)
    assessment = trained.model.evaluate(scene, split.test)
    assert assessment.scores.overall_accuracy == summary.overall_accuracy
    newest = Checkpoints(tmp_path / "run" / "checkpoints").newest()
    from_checkpoint = TrainedModel.of_checkpoint(newest)
    assert_same_bits(from_checkpoint.params, ours.params)
    assert_same_bits(from_checkpoint.predict(scene), ours.predict(scene))
