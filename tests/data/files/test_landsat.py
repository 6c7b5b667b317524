"""Real Landsat bands with no data, labelled by a raster and by the polygons that it was made of."""

import numpy as np
import pytest
import rasterio

from hsi_jax.data import file_scene, open_raster, polygon_split, read_labels, read_raster

COUNTS = [427, 65, 609, 290, 939, 433, 109]
BANDS = "lsat7_2000_*.tif"
POLYGONS = "landsat96_polygons.shp"


@pytest.fixture(scope="module")
def folder(real_data):
    return real_data / "landsat7_nc"


@pytest.fixture(scope="module")
def cube(folder):
    return read_raster(folder / BANDS)


def test_six_bands_each_with_its_own_no_data(folder, cube):
    assert cube.array.shape == (443, 489, 6)
    layers, missing = [], np.zeros((443, 489), bool)
    for band in (10, 20, 30, 40, 50, 70):
        with rasterio.open(folder / f"lsat7_2000_{band}.tif") as file:
            layers.append(file.read(1))
            missing |= layers[-1] == file.nodata
            assert cube.transform == tuple(file.transform)[:6]
    scene = file_scene(folder / BANDS)
    np.testing.assert_array_equal(scene.nodata, missing)
    np.testing.assert_array_equal(scene.cube[~missing], np.dstack(layers)[~missing])
    assert scene.name == "landsat7_nc"


def test_windows_are_parts_of_the_whole(folder, cube):
    source = open_raster(folder / BANDS)
    for rows, columns in ((slice(0, 64), slice(400, 489)), (slice(200, 201), slice(7, 90))):
        np.testing.assert_array_equal(source.read(rows, columns), cube.array[rows, columns])


def test_raster_and_polygons_agree(folder, cube):
    raster = read_labels(folder / "landsat96_labelled_pixels.tif", cube)
    ids = np.where(raster.ids == raster.nodata_values[0], 0, raster.ids)
    burnt = read_labels(folder / POLYGONS, cube, touched=True)
    np.testing.assert_array_equal(burnt.ids, ids)
    assert np.bincount(burnt.ids.ravel())[1:].tolist() == COUNTS
    names = ("developed", "agriculture", "herbaceous", "shrubland", "forest", "water", "sediment")
    assert burnt.class_names == dict(enumerate(names, start=1))
    centres = read_labels(folder / POLYGONS, cube).ids
    assert np.isin(centres, [0]).sum() > np.isin(ids, [0]).sum()
    np.testing.assert_array_equal(centres[centres > 0], ids[centres > 0])


def test_polygons_stay_whole(folder):
    scene = file_scene(folder / BANDS, folder / POLYGONS, labels_touched=True)
    split = polygon_split(scene.labels, scene.polygon_ids, 0, train_fraction=0.5)
    train, test = (np.unique(scene.polygon_ids.ravel()[ids]) for ids in (split.train, split.test))
    assert not np.intersect1d(train, test).size
    assert len(train) + len(test) > 25
