"""What a new scene takes from the model where its file does not say it."""

import math
import warnings

import msgspec
import numpy as np
import pytest

from hsi_jax.data import Raster, ReadOptions, Scene
from hsi_jax.data.scene.band_match import Bands
from hsi_jax.data.scene.scene_tiles import cut_tiles, read_tile
from hsi_jax.errors import InputError, InputWarning
from hsi_jax.trained.description import Description
from hsi_jax.trained.model_inputs import inputs_of, labels_of
from hsi_jax.trained.scene_reading import (
    bands_as_trained,
    cube_as_trained,
    reader_as_trained,
    scene_as_trained,
    source_as_trained,
)

CUBE = np.random.default_rng(0).uniform(1, 9, (6, 7, 4)).astype(np.float32)
HELD = np.zeros((6, 7), bool)
HELD[2, 3:5] = True
FILLED = np.where(HELD[..., None], np.float32(-9999), CUBE)


def description(band_axis=2, nodata=(), bands=4, file_bands=None):
    return Description(
        kind="patch",
        architecture="mlp",
        options="",
        class_names=("a", "b"),
        class_ids=(1, 2),
        colours=("#000000", "#ffffff"),
        input_shape=(1, 1, bands),
        num_bands=bands,
        file_bands=file_bands,
        band_axis=band_axis,
        nodata_values=nodata,
    )


def test_what_fits_already_is_kept_without_a_word():
    scene, source = Scene.from_arrays("it", CUBE), Raster(CUBE).source()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scene_as_trained(description(band_axis=0, nodata=(-9999.0, None)), scene) is scene
        assert source_as_trained(description(band_axis=0), source, "it") is source
        own = Scene.from_arrays("it", CUBE, nodata=HELD)
        assert scene_as_trained(description(nodata=(-9999.0,)), own) is own
        declared = Raster(FILLED, nodata_values=(-1.0,)).source()
        assert source_as_trained(description(nodata=(-9999.0,)), declared, "it") is declared


def test_values_of_no_data_are_those_of_training():
    known = description(nodata=(None, -9999.0))
    kept = Scene.from_arrays("it", FILLED, reading=ReadOptions(keep_fill_values=True))
    with pytest.warns(InputWarning, match="2 pixels of scene it that hold nan, -9999"):
        scene = scene_as_trained(known, kept)
    np.testing.assert_array_equal(scene.nodata, HELD)
    with pytest.warns(InputWarning, match="2 pixels of the cube that hold nan, -9999"):
        cube, nodata = cube_as_trained(known, FILLED)
    np.testing.assert_array_equal(nodata, HELD)
    np.testing.assert_array_equal(cube, np.where(HELD[..., None], 0, CUBE))
    with pytest.warns(InputWarning, match=r"f\.npy that hold nan, -9999"):
        source = source_as_trained(known, Raster(FILLED).source(), "f.npy")
    assert math.isnan(source.nodata_values[0])
    assert source.nodata_values[1] == -9999


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bands", [(4, None), (3, 4)])
def test_bands_lie_where_they_lay_in_training(axis, bands):
    known = description(axis, bands=bands[0], file_bands=bands[1])
    moved = np.moveaxis(CUBE, 2, axis)
    with pytest.warns(InputWarning, match=f"{('first', 'second')[axis]} axis"):
        scene = scene_as_trained(known, Scene.from_arrays("it", moved))
    np.testing.assert_array_equal(scene.cube, CUBE)
    kept = (0, 1, 3) if bands[1] else None
    with pytest.warns(InputWarning, match=f"cube .*{('first', 'second')[axis]} axis"):
        cube, _ = cube_as_trained(msgspec.structs.replace(known, kept_bands=kept), moved)
    np.testing.assert_array_equal(cube, CUBE[..., (0, 1, 3)] if bands[1] else CUBE)
    with pytest.warns(InputWarning, match="as in training"):
        source = source_as_trained(known, Raster(moved).source(), "it")
    assert source.shape == CUBE.shape
    np.testing.assert_array_equal(source.read(), CUBE)
    np.testing.assert_array_equal(source.read(slice(1, 4), slice(2, 7)), CUBE[1:4, 2:7])


def test_an_axis_that_does_not_fit_is_left():
    source = Raster(np.moveaxis(CUBE, 2, 1)).source()
    assert source_as_trained(description(band_axis=0), source, "it") is source


def test_images_of_another_type_or_of_other_bands_are_told():
    known = msgspec.structs.replace(
        description(),
        kind="image",
        input_shape=(5, 5, 3),
        num_bands=3,
        image_dtype="uint16",
        mean=(0.0,) * 3,
        deviation=(1.0,) * 3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs_of(known, None, np.zeros((2, 5, 5, 3), np.uint16))
    with pytest.warns(InputWarning, match="uint8.*trained on uint16"):
        inputs_of(known, None, np.zeros((2, 5, 5, 3), np.uint8))
    with pytest.raises(InputError, match=r"\(2, 5, 5, 4\).*5, 5, 3"):
        inputs_of(known, None, np.zeros((2, 5, 5, 4), np.uint16))


@pytest.mark.parametrize("fill", [0, -9999])
def test_one_rule_for_training_windows_and_arrays(fill):
    cube = np.random.default_rng(0).integers(100, 900, (40, 50, 4)).astype(np.int16)
    held = np.zeros((40, 50), bool)
    held[:, 30:] = held[7, 3] = True
    cube[held] = fill
    cube[..., 2] = 7 if fill == 0 else fill  # a dead band, also where there are no data
    scene = Scene.from_arrays("it", cube, reading=ReadOptions(nodata=(fill,)))
    np.testing.assert_array_equal(scene.nodata, held)
    known = description(nodata=(float(fill),))
    source = Raster(cube, nodata_values=(float(fill),)).source()
    reader = reader_as_trained(known, source, None, "it")
    for tile in cut_tiles((40, 50), 16):
        *_, missing = read_tile(reader, tile, 2, (16, 16))
        np.testing.assert_array_equal(missing, held[tile.rows, tile.columns])
    with pytest.warns(InputWarning, match=f"{held.sum()} pixels"):
        _, missing = cube_as_trained(known, cube)
    np.testing.assert_array_equal(missing, held)
    kept = ReadOptions(keep_fill_values=True)
    with pytest.warns(InputWarning, match=f"{held.sum()} pixels"):
        scene = scene_as_trained(known, Scene.from_arrays("it", cube, reading=kept))
    np.testing.assert_array_equal(scene.nodata, held)


def test_what_is_not_finite_or_hidden_has_no_data():
    cube = CUBE.astype(np.float64)
    cube[HELD] = np.nan
    cube[0, 0, 1] = 1e300
    lacks = HELD.copy()
    lacks[0, 0] = True
    with pytest.warns(InputWarning, match="3 pixels of the cube.*not finite"):
        _, missing = cube_as_trained(description(), cube)
    np.testing.assert_array_equal(missing, lacks)
    hidden = np.ma.masked_array(CUBE, np.broadcast_to(HELD[..., None], CUBE.shape))
    _, missing = cube_as_trained(description(), hidden)
    np.testing.assert_array_equal(missing, HELD)
    np.testing.assert_array_equal(Scene.from_arrays("it", hidden).nodata, HELD)


@pytest.mark.parametrize("fill", [0, -9999])
def test_values_that_look_like_no_data_are_told(fill):
    cube = np.where(HELD[..., None], np.float32(fill), CUBE)
    with pytest.warns(InputWarning, match=f"{fill} in all bands of 2 pixels"):
        cube_as_trained(description(), cube)
    with pytest.warns(InputWarning, match=f"{fill} in all bands of 2 pixels"):
        reader_as_trained(description(), Raster(cube).source(), None, "it")


def test_bands_of_a_whole_file_are_told_by_wavelength_or_taken_as_kept():
    known = msgspec.structs.replace(
        description(bands=2, file_bands=4), kept_bands=(0, 2), wavelengths=(450.0, 650.0)
    )
    assert bands_as_trained(known, Bands(4), "it").tolist() == [0, 2]
    given = Bands(4, [650, 550, 450, 850])
    assert bands_as_trained(known, given, "it").tolist() == [2, 0]
    assert bands_as_trained(known, Bands(2, [450, 650]), "it") is None
    with pytest.raises(InputError, match="3 bands"):
        bands_as_trained(known, Bands(3), "it")


def test_classes_are_joined_by_name_and_by_id_where_there_are_no_names():
    known = msgspec.structs.replace(description(), class_names=("Corn", "Oats"), class_ids=(1, 2))
    ids = np.arange(42).reshape(6, 7) % 2 + 1
    named = Scene.from_arrays("it", CUBE, ids, class_names={1: "oats", 2: " corn"})
    assert labels_of(known, named).tolist() == [1, 0] * 21
    assert labels_of(known, Scene.from_arrays("it", CUBE, ids)).tolist() == [0, 1] * 21
    other = Scene.from_arrays("it", CUBE, ids, class_names={1: "oats", 2: "rye"})
    with pytest.raises(InputError, match="rye"):
        labels_of(known, other)
