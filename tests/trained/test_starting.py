"""A model as the start of another training: which bands, which parameters, and what is said."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from flax import traverse_util

from hsi_jax.data import Scene, random_split
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError
from hsi_jax.models.encoder import ENCODER
from hsi_jax.train import Recipe, first_state, scene_dataset
from hsi_jax.train.masking import Masking
from hsi_jax.train.pretraining import pretraining_state
from hsi_jax.trained.from_training import model_of_training, provenance_of
from hsi_jax.trained.starting import NO_BAND, Start
from hsi_jax.trained.trained_model import TrainedModel

OPTIONS = {"hidden": (6, 5), "dropout": 0.0}
TEXT = "hidden=(6, 5); dropout=0.0"
NM = np.array([500.0, 600.0, 700.0, 800.0, 900.0, 1000.0])


def scene_of(wavelengths, *, name="field", classes=(4, 7), bands=None, names=None):
    """A coordinate-coded scene: band b of pixel (r, c) is 100 wavelength + 10 r + c."""
    rng = np.random.default_rng(0)
    count = bands or len(wavelengths)
    base = np.arange(count) if wavelengths is None else np.asarray(wavelengths)
    rows, columns = np.ogrid[:8, :9]
    cube = 100 * base + (10 * rows + columns)[..., None]
    labels = rng.choice(np.array([0, *classes]), (8, 9))
    known = {} if wavelengths is None else {"wavelengths": wavelengths}
    return Scene.from_arrays(
        name, cube.astype(np.float32), labels, class_names=names or {}, **known
    )


def dataset_of(scene, adapt=None, components=0):
    split = random_split(scene.labels, 1, train_fraction=0.5)
    return scene_dataset(
        scene, split, model="mlp", patch_size=3, components=components, adapt=adapt
    )


def start_of(scene, *, pretrained=False, components=0) -> Start:
    dataset, recipe = dataset_of(scene, components=components), Recipe(steps=1, seed=5)
    if pretrained:
        dataset = dataclasses.replace(dataset, class_names=(), class_ids=())
        masking = Masking(mask_group=1)
        state = pretraining_state(dataset, recipe, "mlp", options=TEXT, masking=masking)
    else:
        state = first_state(dataset, recipe, "mlp", TEXT)
    model = model_of_training(
        dataset,
        state,
        architecture="mlp",
        options=OPTIONS,
        microbatch_size=4,
        provenance=provenance_of(dataset, 5, 1),
    )
    return Start(model, "runs/before")


def named(tree):
    return traverse_util.flatten_dict(tree, sep="/")


@pytest.mark.parametrize("pretrained", [False, True])
def test_a_model_starts_from_its_folder_bit_by_bit(tmp_path, pretrained):
    scene = scene_of(NM)
    start_of(scene, pretrained=pretrained).model.save(tmp_path / "model")
    start = Start.of(tmp_path / "model")
    assert start.is_pretrained == pretrained
    other = scene_of(NM, classes=(1, 2, 3))
    dataset = dataset_of(other, start.adapt)
    own = first_state(dataset, Recipe(steps=1), "mlp", TEXT)
    begun = start.begin(own, dataset, freeze=False)
    source = start.model.params[ENCODER] if pretrained else start.model.params
    source, before, after = named(source), named(own.params), named(begun.params)
    head = {"Dense_2/kernel", "Dense_2/bias"}
    for name in after:
        from_where = before if name in head else source
        assert np.array_equal(after[name], from_where[name]), name
    assert not begun.frozen
    assert start.begin(own, dataset, freeze=True).frozen == set(after) - head


def test_the_head_stays_where_the_classes_are_the_same():
    scene = scene_of(NM)
    start = start_of(scene)
    dataset = dataset_of(scene, start.adapt)
    own = first_state(dataset, Recipe(steps=1), "mlp", TEXT)
    begun = start.begin(own, dataset, freeze=False)
    assert all(
        np.array_equal(array, named(start.model.params)[name])
        for name, array in named(begun.params).items()
    )
    assert "its head too" in start.describe(dataset, freeze=False)


def test_bands_are_matched_by_wavelength_whatever_their_order():
    start = start_of(scene_of(NM))
    other = scene_of(np.array([905.0, 1200.0, 494.0, 703.0, 1005.0, 300.0, 601.0]))
    assert start.match(other).tolist() == [2, 6, 3, NO_BAND, 0, 4]
    fitted = Preprocessing.fit(other.cube, np.arange(72))
    adapted = start.adapt(other, fitted)
    whole, own = adapted.transform(other.cube), fitted.transform(other.cube)
    assert whole.shape == (8, 9, 6)
    for channel, band in enumerate([2, 6, 3, None, 0, 4]):
        expected = 0 if band is None else own[..., band]
        np.testing.assert_allclose(whole[..., channel], expected, atol=2e-4)
    dataset = dataset_of(other, start.adapt)
    said = start.describe(dataset, freeze=True)
    assert "5 of its 6 bands matched by wavelength, the others hidden (0)" in said
    assert "2 of the 7 bands of the scene are not used" in said
    assert "a new head, which alone is trained" in start_of(scene_of(NM), pretrained=True).describe(
        dataset, freeze=True
    )


def test_such_a_model_is_saved_and_predicts_the_other_scene(tmp_path):
    start = start_of(scene_of(NM))
    other = scene_of(np.array([905.0, 494.0, 703.0]))
    dataset = dataset_of(other, start.adapt)
    assert dataset.input_shape == (3, 3, 6)
    state = start.begin(first_state(dataset, Recipe(steps=1), "mlp", TEXT), dataset, freeze=False)
    model = model_of_training(
        dataset,
        state,
        architecture="mlp",
        options=OPTIONS,
        microbatch_size=4,
        provenance=provenance_of(dataset, 5, 1),
    )
    model.save(tmp_path / "model")
    loaded = TrainedModel.load(tmp_path / "model")
    assert np.array_equal(loaded.predict(other), model.predict(other))


def test_principal_components_are_those_of_the_model():
    scene = scene_of(NM)
    noisy = dataclasses.replace(
        scene, cube=np.random.default_rng(1).normal(size=(8, 9, 6)).astype(np.float32)
    )
    start = start_of(noisy, components=2)
    turned = dataclasses.replace(
        noisy, cube=np.ascontiguousarray(noisy.cube[..., ::-1]), wavelengths=NM[::-1].copy()
    )
    every = np.arange(72)
    own = start.model.preprocessing
    at_mean = Preprocessing(Preprocessing.fit(noisy.cube, every).mean, own.scale, own.components)
    adapted = start.adapt(turned, Preprocessing.fit(turned.cube, every))
    np.testing.assert_allclose(
        adapted.transform(turned.cube), at_mean.transform(noisy.cube), atol=1e-5
    )


def test_without_wavelengths_bands_are_taken_in_order():
    start = start_of(scene_of(None, bands=6))
    assert start.match(scene_of(NM)).tolist() == list(range(6))
    with pytest.raises(InputError, match="has 5 bands, the model of runs/before 6"):
        start.match(scene_of(None, bands=5))


def test_a_scene_of_other_wavelengths_is_refused():
    with pytest.raises(InputError, match="no band of scene field lies within 10 nm"):
        start_of(scene_of(NM)).match(scene_of(NM + 2000))


def test_another_network_is_refused():
    scene = scene_of(NM)
    start = start_of(scene)
    dataset = dataset_of(scene, start.adapt)
    state = first_state(dataset, Recipe(steps=1), "mlp", "hidden=(6, 9)")
    with pytest.raises(InputError, match=r"does not fit: its Dense_1.* is \[.*\], but \[.*\]"):
        start.begin(state, dataset, freeze=False)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"`init`=.*there is no such folder"):
        Start.of(tmp_path / "none")


def test_what_may_have_been_seen_is_said():
    scene = scene_of(NM)
    dataset = dataset_of(scene)
    same = start_of(scene)
    assert "without these test samples" in same.describe_leakage(dataset)
    assert same.has_not_seen(dataset)
    other_split = dataclasses.replace(
        dataset, split=dataclasses.replace(dataset.split, test=dataset.split.test[1:])
    )
    assert "may have been among" in same.describe_leakage(other_split)
    assert not same.has_not_seen(other_split)
    elsewhere = dataclasses.replace(dataset, name="other")
    assert same.describe_leakage(elsewhere).endswith("with labels on field.")
    known = same.model.description
    made = SimpleNamespace(dataset="field", counts={"test": 0}, test_digest="0")
    description = SimpleNamespace(task="pretrain", provenance=made)
    everything = Start(SimpleNamespace(description=description), "x")  # pyright: ignore
    assert everything.describe_leakage(dataset).endswith("it has seen the test pixels.")
    assert known.task == "classify"
