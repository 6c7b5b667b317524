"""Exported models give the probabilities of `predict_probabilities`, in programs without JAX."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from hsi_jax.commands.export import ExportOptions, export
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import hex_colours
from hsi_jax.models import MODELS, find_model, find_trait, options_to_text
from hsi_jax.trained import Description, TrainedModel
from tests.models.narrow import NARROW
from tests.models.random_variables import random_variables
from tests.models.test_registry import SMALL

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("jax2onnx")
# `predict` tells what it takes from the model.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::hsi_jax.errors.InputWarning")]

CLASSES, SIDE, MISSING = 5, 13, -9999.0
QUICK = ("mlp", "cnn1d", "cnn2d", "ssftt")
ONE_PASS = ("cnn2d", "cnn3d", "hybridsn")
OPTIONS = NARROW | {"cnn2d": {"features": (4, 4, 8), "hidden": 8}, "mlp": {"hidden": (8, 8)}}


def make(name, **others):
    """A model of random numbers, whose spectra are far from 0 and hardly differ, as real ones."""
    size, channels = SMALL[name]
    bands, rng = channels + 2, np.random.default_rng(0)
    options = OPTIONS.get(name, {}) | others
    module = find_model(name)(num_classes=CLASSES, **options)
    variables = random_variables(module, jnp.zeros((1, size, size, channels)))
    components = np.linalg.qr(rng.normal(size=(bands, channels)))[0].T
    description = Description(
        kind="patch",
        architecture=name,
        options=options_to_text(options),
        class_names=tuple(f"class {k}" for k in range(CLASSES)),
        class_ids=tuple(range(1, CLASSES + 1)),
        colours=hex_colours(CLASSES),
        input_shape=(size, size, channels),
        num_bands=bands,
        wavelengths=tuple(np.linspace(400, 900, bands).tolist()),
        nodata_values=(MISSING, 0.0, None),
    )
    scaling = Preprocessing(rng.uniform(3000, 6000, bands), np.full(channels, 200.0), components)
    statistics = variables.get("batch_stats", {})
    return TrainedModel(description, scaling, variables["params"], statistics)


def make_cube(model):
    rng = np.random.default_rng(1)
    mean = model.preprocessing.mean
    cube = (mean + rng.normal(0, 200, (SIDE, SIDE, len(mean)))).astype(np.float32)
    cube[3, 4, 1] = MISSING
    cube[7, 7] = 0
    cube[8, 8, 0] = np.nan
    cube[9, 9, 0] = 0  # one band alone: a measurement
    return cube


def patches_of(cube, size):
    border = size // 2
    wide = np.pad(cube, ((border, border), (border, border), (0, 0)), mode="reflect")
    windows = sliding_window_view(wide, (size, size), axis=(0, 1))
    return windows.reshape(-1, cube.shape[-1], size, size)


def run(path, values):
    session = ort.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: values})[0]


def assert_alike(found, expected):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    known = ~np.isnan(expected).any(-1)
    assert known.sum() == known.size - 3
    np.testing.assert_allclose(found[known], expected[known], atol=1e-5)
    first, second = np.sort(expected[known], -1)[:, :-3:-1].T
    clear = first - second > 2e-5
    assert clear.mean() > 0.9
    same = found[known].argmax(-1) == expected[known].argmax(-1)
    assert same[clear].all()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in sorted(SMALL)],
)
def test_every_network_is_exported(name, tmp_path):
    model = make(name)
    cube = make_cube(model)
    expected = model.predict_probabilities(cube).reshape(-1, CLASSES)
    model.export(tmp_path / "model.onnx")
    patches = patches_of(cube, model.description.input_shape[0])
    found = run(tmp_path / "model.onnx", patches)
    assert_alike(found, expected)
    np.testing.assert_allclose(run(tmp_path / "model.onnx", patches[:1]), found[:1], atol=1e-5)


def test_no_network_is_left_out():
    baselines = {name for name in MODELS if not find_trait(name, "trained_by_gradient")}
    others = {name for name in MODELS if "image" in find_trait(name, "kinds")}
    assert set(MODELS) == {*SMALL, *baselines, *others}
    assert {name for name in SMALL if find_trait(name, "one_pass")} == set(ONE_PASS)


@pytest.mark.parametrize("name", ONE_PASS)
def test_a_tile_gives_its_map(name, tmp_path):
    model = make(name)
    cube = make_cube(model)
    model.export(tmp_path / "tile.onnx", tile=SIDE)
    found = run(tmp_path / "tile.onnx", np.moveaxis(cube, -1, 0)[None])
    assert found.shape == (1, CLASSES, SIDE, SIDE)
    expected = model.predict_probabilities(cube)
    assert_alike(np.moveaxis(found[0], 0, -1), expected)


@pytest.mark.parametrize(("name", "tile"), [("cnn2d", None), ("cnn2d", SIDE), ("mamba", None)])
def test_stablehlo_is_read_by_jax(name, tile, tmp_path):
    model = make(name)
    cube = make_cube(model)
    model.export(tmp_path / "m.stablehlo", file_format="stablehlo", tile=tile)
    exported = jax.export.deserialize(bytearray((tmp_path / "m.stablehlo").read_bytes()))
    assert {"cpu", "cuda"} <= set(exported.platforms)
    bands = patches_of(cube, model.description.input_shape[0])
    bands = np.moveaxis(cube, -1, 0)[None] if tile else bands
    found = np.asarray(exported.call(bands))
    found = np.moveaxis(found[0], 0, -1).reshape(-1, CLASSES) if tile else found
    assert_alike(found, model.predict_probabilities(cube).reshape(-1, CLASSES))
    beside = json.loads((tmp_path / "m.stablehlo.json").read_text(encoding="utf-8"))
    assert beside["patch_size"] == model.description.input_shape[0]


@pytest.mark.parametrize(
    "name",
    [
        "resnet20",
        *(pytest.param(other, marks=pytest.mark.long) for other in ("vgg16", "densenet121")),
    ],
)
def test_networks_of_images_are_exported(name, tmp_path):
    options = {"resnet20": {"width": 4}}.get(name, {})
    module = find_model(name)(num_classes=CLASSES, **options)
    variables = random_variables(module, jnp.zeros((1, 32, 32, 3)))
    description = Description(
        kind="image",
        architecture=name,
        options=options_to_text(options),
        class_names=tuple("abcde"),
        class_ids=tuple(range(CLASSES)),
        colours=hex_colours(CLASSES),
        input_shape=(32, 32, 3),
        num_bands=3,
        mean=(100.0, 110.0, 120.0),
        deviation=(50.0, 60.0, 70.0),
    )
    model = TrainedModel(description, None, variables["params"], variables.get("batch_stats", {}))
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    model.export(tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", np.moveaxis(images, -1, 1).astype(np.float32))
    np.testing.assert_allclose(found, model.predict_probabilities(images), atol=1e-5)


ALONE = """
import sys
for name in ("jax", "jaxlib", "flax", "hsi_jax", "onnx", "jax2onnx"):
    sys.modules[name] = None
import numpy, onnxruntime, json
session = onnxruntime.InferenceSession(sys.argv[1])
numpy.save(sys.argv[3], session.run(None, {"bands": numpy.load(sys.argv[2])})[0])
told = session.get_modelmeta().custom_metadata_map
print(json.dumps({key: json.loads(value) for key, value in told.items()}))
"""


def test_a_file_needs_neither_jax_nor_us_and_tells_what_deepness_reads(tmp_path):
    model = make("cnn2d")
    model.save(tmp_path / "model")
    path = str(tmp_path / "tile.onnx")
    export(ExportOptions(model_dir=str(tmp_path / "model"), output=path, tile=SIDE))
    tile = np.moveaxis(make_cube(model), -1, 0)[None]
    np.save(tmp_path / "tile.npy", tile)
    paths = (path, str(tmp_path / "tile.npy"), str(tmp_path / "out.npy"))
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *paths],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), run(path, tile), atol=1e-6)
    told = json.loads(done.stdout)
    assert told["model_type"] == "Segmentor"
    assert told["class_names"] == {str(k): f"class {k}" for k in range(CLASSES)}
    assert told["tile_size"] == SIDE
    # Deepness divides by 255 and by the deviations: the bands arrive as they are.
    assert told["standardization_std"] == [1 / 255] * tile.shape[1]
    assert told["wavelengths_nm"] == list(model.description.wavelengths)
    assert told["nodata_values"] == [MISSING, 0.0, None]
    assert told["class_colours"] == list(model.description.colours)
    assert told["hsi_jax"]["architecture"] == "cnn2d"


def test_what_cannot_be_exported_is_said(tmp_path):
    model = make("mlp")
    with pytest.raises(InputError, match=r"`tile`=64: mlp has no form for whole tiles"):
        model.export(tmp_path / "m.onnx", tile=64)
    with pytest.raises(InputError, match="at least 5, the patch size"):
        make("cnn2d").export(tmp_path / "m.onnx", tile=4)
    with pytest.raises(InputError, match="computes in bfloat16"):
        make("cnn2d", dtype="bfloat16").export(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="there is no folder"):
        model.export(tmp_path / "none" / "m.onnx")
    (tmp_path / "there.onnx").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        model.export(tmp_path / "there.onnx")
    assert (tmp_path / "there.onnx").read_text() == "mine"
    model.export(tmp_path / "there.onnx", overwrite=True)
    with pytest.raises(InputError, match="either --run"):
        ExportOptions(output="m.onnx")
