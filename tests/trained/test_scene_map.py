"""The map of a scene by tiles, in one pass and patch by patch, against predicted patches."""

import dataclasses

import jax
import msgspec
import numpy as np
import pytest

from hsi_jax.data import Preprocessing, Scene
from hsi_jax.data.files.raster_source import Raster
from hsi_jax.data.scene.scene_tiles import SceneSource
from hsi_jax.errors import InputError, InputWarning
from hsi_jax.hetero import parse_profile
from hsi_jax.models import build_model, parse_options
from hsi_jax.trained import Description, TrainedModel
from hsi_jax.trained.one_pass import OnePass
from hsi_jax.trained.scene_map import predict_tiles
from tests.models.random_variables import random_variables

BANDS = 15
MODELS = {
    "cnn2d": (11, "features=(6, 5, 7); hidden=9"),
    "cnn2d, an even map": (9, "features=(5, 6, 4); hidden=8"),
    "cnn3d": (5, "features=3; deep_features=4"),
    "cnn3d, a wide patch": (9, "features=3; deep_features=4"),
    "hybridsn": (11, "features=(2, 3, 4); flat_features=5; hidden=(8, 6)"),
    "cnn1d": (1, "features=4; hidden=6"),
    "mlp": (3, "hidden=(8, 6)"),
}


def model_of(name, bands=BANDS):
    """A model of random weights, its running statistics and biases too."""
    patch_size, options = MODELS[name]
    architecture = name.partition(",")[0]
    module = build_model(architecture, 4, parse_options(architecture, options))
    shape = (1, patch_size, patch_size, bands)
    random = random_variables(module, np.zeros(shape, np.float32))
    description = Description(
        kind="patch",
        architecture=architecture,
        options=options,
        class_names=("a", "b", "c", "d"),
        class_ids=(1, 2, 3, 4),
        colours=("#000000",) * 4,
        unlabelled_id=0,
        input_shape=shape[1:],
        num_bands=bands,
        microbatch_size=8,
    )
    rng = np.random.default_rng(2)
    preprocessing = Preprocessing(rng.normal(size=bands), rng.uniform(0.5, 2, bands))
    return TrainedModel(description, preprocessing, random["params"], random.get("batch_stats", {}))


def scene_of(rows, columns, seed=0, **others):
    cube = np.random.default_rng(seed).normal(size=(rows, columns, BANDS)).astype(np.float32)
    return Scene.from_arrays("random", cube, **others)


def whole(tiles, shape, classes=4):
    """The logits of all tiles put together, each pixel told once."""
    logits, nodata = np.full((*shape, classes), np.nan, np.float32), np.zeros(shape, bool)
    for part in tiles:
        window = part.tile.rows, part.tile.columns
        assert np.isnan(logits[window]).all()
        logits[window], nodata[window] = part.logits, part.nodata
    assert not np.isnan(logits).any()
    return logits, nodata


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_tiles_equal_patches(name):
    """Odd sizes, tiles that are cut by the edge and by blocks, borders that are mirrored."""
    model, scene = model_of(name), scene_of(37, 23)
    expected = model.predict_probabilities(scene)
    assert len(np.unique(expected.argmax(-1))) > 1
    logits, nodata = whole(predict_tiles(model, SceneSource(scene), tile_side=20), (37, 23))
    np.testing.assert_allclose(softmax(logits), expected, atol=2e-5)
    assert not nodata.any()


@pytest.mark.parametrize(
    "name",
    ["cnn2d", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cnn3d", "hybridsn"))],
)
def test_one_pass_has_the_logits_of_patches(name):
    model, source = model_of(name), SceneSource(scene_of(40, 35))
    reference, _ = whole(predict_tiles(model, source, method="patches"), (40, 35))
    logits, _ = whole(predict_tiles(model, source, method="one_pass"), (40, 35))
    np.testing.assert_allclose(logits, reference, rtol=0, atol=1e-4 * np.abs(reference).max())
    close = np.sort(reference, -1)
    sure = close[..., -1] - close[..., -2] > 1e-4
    assert sure.mean() > 0.9
    assert np.array_equal(logits.argmax(-1)[sure], reference.argmax(-1)[sure])


def test_a_second_map_finds_what_the_first_has_compiled():
    model = model_of("cnn2d")
    for task in (None, OnePass(model.module(), 11)):
        first, second = model.prediction_state(task), model.prediction_state(task)
        assert jax.tree.structure(first) == jax.tree.structure(second)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["one_pass", "patches"])
def test_devices_do_not_matter(method):
    model, source = model_of("cnn2d"), SceneSource(scene_of(70, 40))
    maps = [
        whole(
            predict_tiles(
                model, source, method=method, tile_side=64, profile=parse_profile(profile)
            ),
            (70, 40),
        )[0]
        for profile in ("1", "2:1", "5:1:1:1")
    ]
    assert np.array_equal(maps[0], maps[1])
    assert np.array_equal(maps[0], maps[2])


def test_missing_pixels_and_a_coded_scene():
    """Rows are not taken for columns, and a pixel without data counts as 0 for its neighbours."""
    down, across = np.mgrid[:21, :30]
    cube = np.stack([np.sin((k + 1) * down) + across / (k + 9) for k in range(BANDS)], -1)
    nodata = np.zeros((21, 30), bool)
    nodata[3:6, 11], nodata[20, 29] = True, True
    model = model_of("cnn2d")
    scene = Scene.from_arrays("coded", cube, nodata=nodata)
    logits, missing = whole(predict_tiles(model, SceneSource(scene), tile_side=16), (21, 30))
    assert np.array_equal(missing, nodata)
    expected = model.predict_probabilities(scene)
    np.testing.assert_allclose(softmax(logits)[~nodata], expected[~nodata], atol=2e-5)
    array = np.where(nodata[..., None], -7, scene.cube)
    source = Raster(array, nodata_values=(-7.0,)).source()
    again, missing = whole(predict_tiles(model, source, tile_side=16), (21, 30))
    assert np.array_equal(missing, nodata)
    assert np.array_equal(again, logits)


@pytest.mark.filterwarnings("ignore:.*wavelengths in the model alone")
def test_bands_are_matched_by_wavelength():
    model = model_of("mlp")
    known = msgspec.structs.replace(
        model.description, wavelengths=tuple(400.0 + 20 * k for k in range(BANDS))
    )
    model = dataclasses.replace(model, description=known)
    scene = scene_of(9, 8)
    reversed_bands = Raster(
        np.ascontiguousarray(scene.cube[..., ::-1]), wavelengths=np.array(known.wavelengths)[::-1]
    )
    expected, _ = whole(predict_tiles(model, SceneSource(scene)), (9, 8))
    logits, _ = whole(predict_tiles(model, reversed_bands.source()), (9, 8))
    assert np.array_equal(logits, expected)


def test_other_units_are_doubted():
    model, scene = model_of("mlp"), scene_of(9, 8)
    known = msgspec.structs.replace(model.description, value_ranges=((-3.0, 3.0),) * BANDS)
    model = dataclasses.replace(model, description=known)
    predict_tiles(model, SceneSource(scene))
    with pytest.warns(InputWarning, match="unit"):
        predict_tiles(model, Raster(1000 * scene.cube).source())


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("cnn2d", (10, 30, BANDS), {}, "larger scene"),
        ("cnn2d", (30, 30, BANDS - 1), {}, "bands"),
        ("mlp", (9, 9, BANDS), {"method": "one_pass"}, "whole tiles"),
        ("mlp", (9, 9, BANDS), {"method": "fast"}, "method"),
    ],
)
def test_what_cannot_be_predicted_is_said_at_once(name, shape, options, message):
    source = Raster(np.zeros(shape, np.float32)).source()
    with pytest.raises(InputError, match=message):
        predict_tiles(model_of(name), source, **options)
