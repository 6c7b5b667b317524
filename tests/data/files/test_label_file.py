"""A label map must lie on its cube."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from hsi_jax.data import file_scene
from hsi_jax.data.scene.label_ids import says_none
from hsi_jax.errors import InputError

TRANSFORM = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0)


def write(path, array, crs="EPSG:32616", transform=TRANSFORM, **options):
    bands = np.atleast_3d(array).transpose(2, 0, 1)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=array.shape[0],
        width=array.shape[1],
        count=len(bands),
        dtype=array.dtype,
        crs=crs,
        transform=transform,
        **options,
    ) as file:
        file.write(bands)
    return path


@pytest.fixture
def cube(tmp_path):
    return write(tmp_path / "cube.tif", np.random.default_rng(0).random((6, 8, 3), "float32"))


IDS = np.arange(48).reshape(6, 8).astype("int16") % 3


def test_a_map_on_the_cube(cube, tmp_path):
    ids = np.where(IDS == 0, np.int16(-1), IDS)
    scene = file_scene(cube, write(tmp_path / "map.tif", ids, nodata=-1))
    np.testing.assert_array_equal(scene.labels, IDS.astype(int) - 1)
    assert scene.polygon_ids is None


def test_a_map_with_the_same_corners_in_another_reference_system(cube, tmp_path):
    # ETRS89 and WGS 84 name the same places, to within a metre.
    other = TRANSFORM
    write(cube, np.random.default_rng(0).random((6, 8, 3), "f4"), crs="EPSG:32632", transform=other)
    path = write(tmp_path / "map.tif", IDS, crs="EPSG:25832", transform=other)
    assert file_scene(cube, path).num_classes == 2


@pytest.mark.parametrize(
    "place",
    [
        {"transform": TRANSFORM @ Affine.translation(1, 0)},
        {"transform": TRANSFORM @ Affine.scale(1, -1)},
        {"crs": "EPSG:32617"},
    ],
    ids=["beside", "upside down", "another zone"],
)
def test_a_map_elsewhere_is_refused(cube, tmp_path, place):
    path = write(tmp_path / "map.tif", IDS, **place)
    with pytest.raises(InputError, match="pixels away"):
        file_scene(cube, path)


@pytest.mark.parametrize("name", ["NoData", "no_data", "None", "Void", "BACKGROUND"])
def test_the_id_0_that_says_it_is_no_class(name):
    assert says_none(name)


@pytest.mark.parametrize("name", ["", "soil", "Nonesuch", "data"])
def test_a_class_that_is_one(name):
    assert not says_none(name)
