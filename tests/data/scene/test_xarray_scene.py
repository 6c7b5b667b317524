"""A scene becomes a DataArray and back, with its axes, wavelengths, position and missing pixels."""

import numpy as np
import pytest

from hsi_jax.data import ReadOptions, Scene
from hsi_jax.data.scene.data_array import to_xarray
from hsi_jax.data.scene.xarray_scene import scene_of_xarray
from hsi_jax.errors import InputError

xarray = pytest.importorskip("xarray")

SHAPE = ROWS, COLUMNS, NUM_BANDS = 5, 7, 3
TRANSFORM = (30.0, 0.0, 600_000.0, 0.0, -30.0, 4_500_000.0)
WAVELENGTHS = (450.0, 550.0, 850.0)


def coded():
    """A cube whose every number tells its row, column and band."""
    row, column, band = np.indices(SHAPE)
    return (100.0 * row + 10 * column + band + 1).astype(np.float32)


def make_scene(**known):
    labels = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 2 + 1
    return Scene.from_arrays("coded", coded(), labels, **known)


def test_there_and_back_again():
    scene = make_scene(wavelengths=WAVELENGTHS, crs="EPSG:32616", transform=TRANSFORM)
    array = scene.to_xarray()
    assert array.dims == ("band", "y", "x")
    assert float(array.sel(x=600_045, y=4_499_985)[2]) == coded()[0, 1, 2]  # centres of pixels
    again = scene_of_xarray(array)
    np.testing.assert_array_equal(again.cube, scene.cube)
    np.testing.assert_array_equal(again.wavelengths, WAVELENGTHS)
    assert again.transform == pytest.approx(TRANSFORM)
    assert again.crs == "EPSG:32616"


@pytest.mark.parametrize("dims", [("y", "x", "band"), ("band", "y", "x"), ("x", "wavelength", "y")])
def test_any_order_of_named_axes(dims):
    named = xarray.DataArray(coded(), dims=("y", "x", "band"))
    if "wavelength" in dims:
        named = named.rename(band="wavelength").assign_coords(
            wavelength=("wavelength", [0.45, 0.55, 0.85], {"units": "um"})
        )
    scene = scene_of_xarray(named.transpose(*dims))
    np.testing.assert_array_equal(scene.cube, coded())
    if "wavelength" in dims:
        np.testing.assert_allclose(scene.wavelengths, WAVELENGTHS)


def test_missing_pixels_and_labels_on_the_same_grid():
    values = coded()
    values[1, 2] = np.nan
    values[3, 3] = -9999
    array = xarray.DataArray(values, dims=("y", "x", "band"), attrs={"_FillValue": -9999.0})
    labels = xarray.DataArray(make_scene().labels + 1, dims=("y", "x")).transpose("x", "y")
    scene = scene_of_xarray(array, labels)
    assert np.argwhere(scene.nodata).tolist() == [[1, 2], [3, 3]]
    known = scene.labels >= 0
    np.testing.assert_array_equal(scene.labels[known], make_scene().labels[known])


def test_a_map_has_the_coordinates_of_its_scene():
    scene = make_scene(crs="EPSG:32616", transform=TRANSFORM, reading=ReadOptions())
    mapped = to_xarray(scene, scene.labels, "classes")
    assert mapped.dims == ("y", "x")
    assert mapped.name == "classes"
    np.testing.assert_array_equal(mapped.values, scene.labels)
    assert mapped.coords["spatial_ref"].attrs["crs_wkt"] == "EPSG:32616"


def test_other_axes_are_refused():
    with pytest.raises(InputError, match="time, y, x; give three, named band, y and x"):
        scene_of_xarray(xarray.DataArray(coded(), dims=("time", "y", "x")))


def test_uneven_coordinates_are_no_position():
    array = xarray.DataArray(coded(), dims=("y", "x", "band"))
    array = array.assign_coords(x=np.arange(COLUMNS) ** 2.0, y=np.arange(ROWS))
    assert scene_of_xarray(array).transform is None
