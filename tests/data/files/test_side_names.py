"""Names of bands and classes, and folders whose names look like patterns."""

import numpy as np
import pytest
import rasterio

from hsi_jax.data import open_raster, read_raster
from hsi_jax.errors import InputError
from tests.field import fuzz_samples


@pytest.mark.parametrize("name", ["plot [3]", "a, b", "100% *", "a,b,c"])
@pytest.mark.parametrize("how", ["one", "pattern", "list", "list of patterns"])
def test_folders_with_brackets_and_commas(name, how, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    array = np.arange(3 * 4 * 11, dtype=np.int16).reshape(3, 4, 11)
    for band in range(11):
        fuzz_samples._write_geotiff(folder / f"B{band + 1}.tif", array[:, :, band : band + 1])
    first, some = f"{folder}/B1.tif", f"{folder}/B1*.tif"
    path, bands = {
        "one": (first, [0]),
        "pattern": (f"{folder}/B*.tif", range(11)),
        "list": (f"{folder}/B3.tif, {first}", [2, 0]),
        "list of patterns": (f"{folder}/B3.tif,{some}", [2, 0, 9, 10]),
    }[how]
    np.testing.assert_array_equal(read_raster(path).array, array[..., list(bands)])


def test_bands_of_which_some_have_a_name(tmp_path):
    path = tmp_path / "a.tif"
    fuzz_samples._write_geotiff(path, np.zeros((3, 4, 3), np.uint8))
    with rasterio.open(path, "r+") as file:
        file.set_band_description(2, "B8A")
    assert read_raster(path).band_names == ("", "B8A", "")
    assert open_raster(path).band_names == ("", "B8A", "")


CATEGORIES = "<CategoryNames><Category/><Category>soil</Category><Category>corn</Category>"
TABLE = (
    '<GDALRasterAttributeTable><FieldDefn index="0"><Name>{}</Name><Usage>{}</Usage></FieldDefn>'
    '<FieldDefn index="1"><Name>{}</Name><Usage>{}</Usage></FieldDefn>'
    '<Row index="0"><F>1</F><F>soil</F></Row><Row index="1"><F>2</F><F>corn</F></Row>'
    '<Row index="2"><F>255</F><F>no data</F></Row></GDALRasterAttributeTable>'
)


@pytest.mark.parametrize(
    "beside",
    [
        f"{CATEGORIES}</CategoryNames>",
        TABLE.format("Value", 5, "Class", 2),
        TABLE.format("VALUE", 0, "class_name", 0),
    ],
)
def test_names_of_classes_beside_a_geotiff(beside, tmp_path):
    path = tmp_path / "map.tif"
    fuzz_samples._write_geotiff(path, np.zeros((3, 4, 1), np.uint8), nodata=255)
    content = f'<PAMDataset><PAMRasterBand band="1">{beside}</PAMRasterBand></PAMDataset>'
    (tmp_path / "map.tif.aux.xml").write_text(content)
    assert read_raster(path, ndim=2).class_names == {1: "soil", 2: "corn"}
    (tmp_path / "map.tif.aux.xml").write_text(content[:-9])
    with pytest.raises(InputError, match="map"):
        read_raster(path, ndim=2)
