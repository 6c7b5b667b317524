"""A scene that leaves its cube in the file is the scene that holds it, bit for bit."""

import dataclasses

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from hsi_jax.data import Raster, ReadOptions, file_scene
from hsi_jax.data.files import raster_source
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.stored_cube import StoredCube, row_blocks, spectra_at
from hsi_jax.errors import InputError

SHAPE = ROWS, COLUMNS, BANDS = 21, 13, 6
MISSING = -9999
IDS = np.random.default_rng(1).integers(0, 4, SHAPE[:2])


@pytest.fixture(autouse=True)
def small_strips(monkeypatch):
    """Two or three rows at a time."""
    monkeypatch.setattr(raster_source, "_STRIP_BYTES", 1000)


def numbers(dtype="float32"):
    cube = np.random.default_rng(0).integers(1, 3000, SHAPE).astype(dtype)
    cube[3:5, 2:9] = MISSING  # no data
    cube[..., 4] = 7  # a constant band
    return cube


def write_gdal(path, cube, **profile):
    size = {"height": ROWS, "width": COLUMNS, "count": BANDS, "dtype": cube.dtype}
    place = {"crs": "EPSG:32616", "transform": rasterio.Affine(30, 0, 5e5, 0, -30, 4e6)}
    with rasterio.open(path, "w", nodata=MISSING, **size, **place, **profile) as file:
        file.write(np.moveaxis(cube, 2, 0))


def write_envi(path, cube):
    write_gdal(path, cube, driver="ENVI", interleave="bsq")


def write_tiff(path, cube):
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
    write_gdal(path, cube, driver="GTiff", **tiles)


def write_fortran(path, cube):
    np.save(path, np.asfortranarray(cube))


def write_mat(path, cube):
    savemat(path, {"cube": cube}, do_compression=True)


@pytest.fixture(
    params=[
        ("npy", np.save, "float32"),
        ("npy", write_fortran, "float64"),
        ("tif", write_tiff, "int16"),
        ("img", write_envi, "float32"),
        ("mat", write_mat, "int16"),
        ("mat", write_mat, "float64"),
    ],
    ids=lambda case: f"{case[0]}-{case[2]}",
)
def scenes(request, tmp_path):
    """The same file as a scene that holds its cube, and as one that does not."""
    suffix, write, dtype = request.param
    write(tmp_path / f"it.{suffix}", numbers(dtype))
    np.save(tmp_path / "ids.npy", IDS)
    reading = ReadOptions(nodata=(MISSING,), drop_bands=(1, "constant"))
    return tuple(
        file_scene(tmp_path / f"it.{suffix}", tmp_path / "ids.npy", reading=reading, hold_cube=hold)
        for hold in (True, False)
    )


def test_the_scene_is_the_same(scenes):
    held, stored = scenes
    assert isinstance(held.cube, np.ndarray)
    np.testing.assert_array_equal(np.asarray(stored.cube), held.cube, strict=True)
    np.testing.assert_array_equal(stored.labels, held.labels)
    np.testing.assert_array_equal(stored.nodata, held.nodata)
    assert stored.remarks == held.remarks
    assert stored.kept_bands == held.kept_bands == (0, 2, 3, 5)


def test_scaling_has_the_same_bits(scenes):
    held, stored = scenes
    ids = held.labelled
    for components in (0, 2, 3):
        scaled = [
            Preprocessing.fit(scene.cube, ids, components).transform(scene.cube)
            for scene in (held, stored)
        ]
        np.testing.assert_array_equal(*scaled)


def test_a_file_is_not_held_where_it_can_be_read_again(tmp_path, monkeypatch):
    np.save(tmp_path / "it.npy", numbers()[..., :4])
    scene = file_scene(tmp_path / "it.npy", hold_cube=False, reading=ReadOptions(nodata=(MISSING,)))
    assert isinstance(scene.cube, StoredCube)
    (tmp_path / "it.npy").unlink()
    with pytest.raises(InputError, match=r"it\.npy"):
        np.asarray(scene.cube)


def test_bands_along_another_axis_are_held(tmp_path):
    np.save(tmp_path / "it.npy", np.moveaxis(numbers()[..., :4], 2, 0))
    reading = ReadOptions(nodata=(MISSING,), band_axis=0)
    scene = file_scene(tmp_path / "it.npy", hold_cube=False, reading=reading)
    assert isinstance(scene.cube, np.ndarray)
    assert scene.cube.shape == (ROWS, COLUMNS, 4)


CUBE = np.random.default_rng(2).random(SHAPE).astype(np.float32)
PARTS = st.one_of(
    st.integers(-ROWS, ROWS - 1),
    st.slices(ROWS),
    st.just(...),
)


@given(
    PARTS,
    st.one_of(st.none(), st.slices(COLUMNS), st.integers(0, COLUMNS - 1)),
    st.integers(1, 9),
)
@settings(max_examples=40)
def test_it_is_read_as_numpy_does(rows, columns, block_rows):
    source = dataclasses.replace(Raster(CUBE).source(), block_rows=block_rows)
    cube = StoredCube(source, range(BANDS), None)
    key = rows if columns is None or rows is ... else (rows, columns)
    np.testing.assert_array_equal(cube[key], CUBE[key])


@given(st.slices(ROWS), st.slices(COLUMNS), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=40)
def test_windows_are_put_together_from_tiles(rows, columns, block_rows, block_columns):
    inside = slice(*rows.indices(ROWS)[:2]), slice(*columns.indices(COLUMNS)[:2])
    blocks = {"block_rows": block_rows, "block_columns": block_columns}
    source = dataclasses.replace(Raster(CUBE).source(), **blocks)
    np.testing.assert_array_equal(source.read(*inside), CUBE[inside])


@given(st.lists(st.integers(0, ROWS * COLUMNS - 1), max_size=30))
@settings(max_examples=30)
def test_spectra_come_in_the_order_of_their_ids(ids):
    cube = StoredCube(Raster(CUBE).source(), range(BANDS), None)
    found = spectra_at(cube, np.array(ids, np.int32))
    np.testing.assert_array_equal(found, CUBE.reshape(-1, BANDS)[ids], strict=True)


def test_blocks_follow_those_of_the_file():
    source = dataclasses.replace(Raster(CUBE).source(), block_rows=8)
    blocks = [rows for rows, _ in row_blocks(StoredCube(source, range(BANDS), None))]
    assert blocks == [slice(0, 8), slice(8, 16), slice(16, ROWS)]
