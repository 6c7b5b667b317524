"""Cubes of netCDF and Zarr as missions and xarray write them: wavelengths, scale, no data."""

import h5py
import numpy as np
import pytest

from hsi_jax.data import ReadOptions, file_scene, open_raster, read_raster
from hsi_jax.errors import InputError

SHAPE = 6, 5, 4
WAVELENGTHS = np.array([381.0, 560.5, 850.0, 2493.0])


@pytest.fixture
def cube():
    """Coded by its place, so that a mistake of axes or bands shows; one pixel without data."""
    rows, columns, bands = np.indices(SHAPE)
    cube = (rows + 0.1 * columns + 0.01 * bands).astype(np.float32)
    cube[2, 3] = -9999
    return cube


def test_emit(tmp_path, cube):
    """EMITL2ARFL: the cube at the root, wavelengths and widths of bands in a group."""
    path = tmp_path / "EMIT_L2A_RFL.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("reflectance", data=cube).attrs["_FillValue"] = np.float32([-9999])
        group = file.create_group("sensor_band_parameters")
        group["wavelengths"] = WAVELENGTHS.astype(np.float32)
        group["fwhm"] = np.full(4, 8.5, np.float32)
        file.create_group("location")["glt_x"] = np.zeros((7, 7), np.int32)
    raster = read_raster(path)
    np.testing.assert_array_equal(raster.array, cube)
    np.testing.assert_array_equal(raster.wavelengths, WAVELENGTHS)
    assert raster.nodata_values == (-9999,)
    np.testing.assert_array_equal(open_raster(path).wavelengths, WAVELENGTHS)
    scene = file_scene(path)
    assert np.argwhere(scene.nodata).tolist() == [[2, 3]]
    np.testing.assert_array_equal(scene.wavelengths, WAVELENGTHS)


def test_micrometres_and_wavelengths_that_are_not_those_of_the_bands(tmp_path, cube):
    path = tmp_path / "cube.h5"
    with h5py.File(path, "w") as file:
        file["cube"] = cube
        file["Wavelength"] = WAVELENGTHS / 1000
        file["other/wavelength"] = np.arange(7)
    np.testing.assert_allclose(read_raster(path).wavelengths, WAVELENGTHS)
    with h5py.File(path, "a") as file:
        file["more/wavelength"] = WAVELENGTHS + 1
    assert read_raster(path).wavelengths is None  # which of the two is not known


def test_prisma(tmp_path, cube):
    """PRS_L2D: two cubes deep in groups, their bands as the second axis."""
    path = tmp_path / "PRS_L2D.he5"
    with h5py.File(path, "w") as file:
        fields = file.create_group("HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields")
        for name in ("VNIR_Cube", "SWIR_Cube"):
            fields[name] = np.moveaxis(np.abs(cube), 2, 1)
    with pytest.raises(InputError, match="VNIR_Cube"):
        read_raster(path)
    name = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/VNIR_Cube"
    scene = file_scene(path, cube_variable=name, reading=ReadOptions(band_axis=1))
    np.testing.assert_array_equal(scene.cube, np.abs(cube))


@pytest.fixture
def dataset(cube):
    """A dataset of xarray, packed as integers, with bands first and a position."""
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    values = np.moveaxis(np.where(cube == -9999, np.nan, cube), -1, 0)
    coordinates = {
        "wavelength": ("band", WAVELENGTHS / 1000, {"units": "um"}),
        "y": 4000.0 - 30 * np.arange(SHAPE[0]),
        "x": 500.0 + 30 * np.arange(SHAPE[1]),
        "spatial_ref": ((), 0, {"crs_wkt": 'LOCAL_CS["here"]'}),
    }
    array = xarray.DataArray(values, coordinates, ("band", "y", "x"))
    packed = {"dtype": "int16", "scale_factor": 0.001, "_FillValue": -9999}
    array.encoding.update(packed)
    return xarray.Dataset({"reflectance": array})


def assert_read(scene, cube):
    missing = cube[..., 0] == -9999
    np.testing.assert_array_equal(scene.nodata, missing)
    np.testing.assert_allclose(scene.cube[~missing], cube[~missing], atol=6e-4)
    np.testing.assert_allclose(scene.wavelengths, WAVELENGTHS)
    assert scene.transform == (30, 0, 485, 0, -30, 4015)
    assert scene.crs.startswith("LOCAL_CS")


@pytest.mark.filterwarnings("ignore")  # of Zarr about its own formats
def test_zarr(tmp_path, dataset, cube):
    path = tmp_path / "cube.zarr"
    dataset.to_zarr(path)
    assert_read(file_scene(path), cube)
    source = open_raster(str(path), "reflectance")
    assert source.shape == SHAPE
    with pytest.raises(InputError, match="0 such arrays"):
        open_raster(path, "radiance")
    dataset.to_zarr(path, group="second", mode="a")
    with pytest.raises(InputError, match=r"2 such arrays.*second\.reflectance"):
        open_raster(path)
    assert open_raster(path, "second/reflectance").shape == SHAPE


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_store(tmp_path, dataset):
    path = tmp_path / "cube.zarr"
    dataset.to_zarr(path)
    for file in path.rglob("*.json"):
        file.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        open_raster(path)
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(InputError, match=r"empty\.zarr"):
        open_raster(tmp_path / "empty.zarr")
