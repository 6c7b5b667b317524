"""Files of maps, as rasterio, GDAL, spectral, NumPy and Pillow read them."""

import csv
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image

from hsi_jax.errors import InputError, StorageError
from hsi_jax.evaluate.maps.class_areas import count_classes, write_areas
from hsi_jax.evaluate.maps.class_key import ClassKey
from hsi_jax.evaluate.maps.map_files import (
    CLASS_SUFFIXES,
    check_file,
    key_of,
    write_classes,
    write_numbers,
)
from hsi_jax.evaluate.maps.map_grid import Grid

NAMES = ("Maize", "Röd, {mark}", "Water")
COLOURS = ("#0072b2", "#e69f00", "#009e73")
KEY = ClassKey.of_ids(NAMES, COLOURS, (2, 7, 30), 0)
TRANSFORM = (30.0, 0.0, 500_000.0, 0.0, -20.0, 4_000_000.0)
ROTATED = (26.0, 10.0, 500_000.0, 15.0, -17.0, 4_000_000.0)
GRID = Grid(5, 7, "EPSG:32616", TRANSFORM)
# Every pixel differs from its neighbours, so that rows and columns cannot be taken for each other.
STORED = (np.arange(35).reshape(5, 7) % 4).astype(np.uint8)
VALUES = np.array([0, 2, 7, 30])[STORED]


def strips(array=STORED):
    return iter((array[:2], array[2:4], array[4:]))


@pytest.mark.parametrize("transform", [TRANSFORM, ROTATED])
def test_geotiff(tmp_path, transform):
    rasterio = pytest.importorskip("rasterio")
    from rasterio.shutil import copy

    path = tmp_path / "map.tif"
    write_classes(path, strips(), Grid(5, 7, "EPSG:32616", transform), KEY)
    assert np.array_equal(tifffile.imread(path), VALUES)
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), VALUES)
        assert (file.crs.to_epsg(), tuple(file.transform)[:6]) == (32616, transform)
        assert (file.nodata, file.dtypes) == (0, ("uint8",))
        assert file.colorinterp[0].name == "palette"
        colours = file.colormap(1)
        assert [colours[value][:3] for value in (2, 7, 30)] == [
            (0, 114, 178),
            (230, 159, 0),
            (0, 158, 115),
        ]
        copy(file, tmp_path / "map.vrt", driver="VRT")  # tells what GDAL itself reads
    band = ElementTree.parse(tmp_path / "map.vrt").getroot().find("VRTRasterBand")
    categories = [node.text for node in band.find("CategoryNames")]
    assert [categories[value] for value in (2, 7, 30)] == list(NAMES)
    rows = band.findall("GDALRasterAttributeTable/Row")
    assert [[cell.text for cell in row][:2] for row in rows] == [
        [str(value), name] for value, name in zip((2, 7, 30), NAMES, strict=True)
    ]


@pytest.mark.parametrize("columns", [1023, 1024, 1025])
def test_a_large_geotiff_has_tiles_and_overviews(tmp_path, columns):
    rasterio = pytest.importorskip("rasterio")
    path, grid = tmp_path / "map.tif", Grid(6, columns, "EPSG:32616", TRANSFORM)
    stored = np.random.default_rng(1).integers(0, 4, (6, columns)).astype(np.uint8)
    write_classes(path, [stored[:4], stored[4:]], grid, KEY)
    numbers = np.random.default_rng(0).uniform(size=(6, columns, 3)).astype(np.float32)
    write_numbers(
        tmp_path / "p.tif", [numbers], grid, dtype="float32", names=NAMES, nodata=np.nan, scale=0.5
    )
    with rasterio.open(path) as file, rasterio.open(tmp_path / "p.tif") as other:
        assert np.array_equal(file.read(1), KEY.table[stored])
        assert bool(file.overviews(1)) == (columns > 1024)
        assert file.profile["tiled"] == (columns > 1024)
        assert (file.nodata, tuple(file.transform)[:6]) == (0, TRANSFORM)
        assert file.colormap(1)[7][:3] == (230, 159, 0)
        assert set(np.unique(file.read(1, out_shape=(3, 500)))) <= {0, 2, 7, 30}
        np.testing.assert_array_equal(np.moveaxis(other.read(), 0, -1), numbers)
        assert (other.descriptions, other.scales) == (NAMES, (0.5,) * 3)
    assert {p.name for p in tmp_path.iterdir()} == {"map.tif", "map.tif.aux.xml", "p.tif"}


@pytest.mark.parametrize("crs", ["EPSG:32616", "EPSG:4326", "EPSG:3035"])
def test_envi(tmp_path, crs):
    rasterio = pytest.importorskip("rasterio")
    envi = pytest.importorskip("spectral.io.envi")
    path = tmp_path / "map.hdr"
    write_classes(path, strips(), Grid(5, 7, crs, TRANSFORM), KEY.counted())
    image = envi.open(str(path))
    assert np.array_equal(np.asarray(image.load())[..., 0], STORED)
    assert image.metadata["class names"] == ["Unclassified", "Maize", "Röd mark", "Water"]
    assert image.metadata["class lookup"][:6] == ["0", "0", "0", "0", "114", "178"]
    assert image.metadata["file type"] == "ENVI Classification"
    with rasterio.open(tmp_path / "map.img") as file:
        assert np.array_equal(file.read(1), STORED)
        assert tuple(file.transform)[:6] == TRANSFORM
        assert file.crs == rasterio.crs.CRS.from_user_input(crs)
        assert file.nodata == 0


def test_numpy_and_png(tmp_path):
    write_classes(tmp_path / "map.npy", strips(), Grid(5, 7), KEY)
    assert np.array_equal(np.load(tmp_path / "map.npy"), VALUES)
    write_classes(tmp_path / "map.png", strips(), Grid(5, 7), KEY)
    with Image.open(tmp_path / "map.png") as image:
        assert np.array_equal(np.asarray(image), VALUES)
        drawn = np.asarray(image.convert("RGBA"))
    assert (drawn[STORED == 2] == (230, 159, 0, 255)).all()
    assert (drawn[STORED == 0][:, 3] == 0).all()


def test_many_classes(tmp_path):
    names = [f"class {number}" for number in range(300)]
    key = ClassKey.of_ids(names, ["#0072b2"] * 300, range(10, 310), 0)
    stored = np.arange(300, dtype=np.uint16).reshape(1, 300)
    write_classes(tmp_path / "map.npy", [stored], Grid(1, 300), key)
    read = np.load(tmp_path / "map.npy")
    assert (read.dtype, read[0, 0], read[0, 1], read[0, 299]) == (np.uint16, 0, 10, 308)
    write_classes(tmp_path / "map.png", [stored], Grid(1, 300), key)
    assert np.asarray(Image.open(tmp_path / "map.png")).shape == (1, 300, 4)


@pytest.mark.parametrize(
    ("ids", "unlabelled", "values", "nodata"),
    [
        ((1, 2), 0, (1, 2), 0),
        ((0, 1), -1, (0, 1), 255),
        ((0, 1), 0, (0, 1), 255),
        ((1, 254), 255, (1, 254), 255),
        ((5, 1000), 3, (5, 1000), 3),
        ((-3, 70_000), 0, (1, 2), 0),
    ],
)
def test_values_tell_classes_apart(ids, unlabelled, values, nodata):
    key = ClassKey.of_ids(("a", "b"), COLOURS[:2], ids, unlabelled)
    assert (key.values, key.nodata) == (values, nodata)
    assert key.nodata not in key.values
    assert np.iinfo(key.dtype).max >= max(*key.values, key.nodata)


def test_bands(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    numbers = np.random.default_rng(0).uniform(size=(5, 7, 3)).astype(np.float32)
    numbers[1, 2] = np.nan
    for name in ("p.tif", "p.npy"):
        write_numbers(
            tmp_path / name, strips(numbers), GRID, dtype="float32", names=NAMES, nodata=np.nan
        )
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.descriptions == NAMES
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), numbers)
        assert np.isnan(file.nodata)
        assert tuple(file.transform)[:6] == TRANSFORM
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), numbers)


def read_values(path):
    """The values in the raster of a map."""
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".png":
        with Image.open(path) as image:
            return np.asarray(image)
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(path.with_suffix(".img") if path.suffix == ".hdr" else path) as file:
        return file.read(1)


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
@pytest.mark.parametrize("suffix", CLASS_SUFFIXES)
@pytest.mark.parametrize(
    ("ids", "unlabelled"),
    [((1, 3, 4, 5, 6, 7), 0), ((0, 1, 2, 3, 4, 5), -1), ((-3, 9, 2, 70_000, 1, 5), 0)],
)
def test_raster_and_areas_have_the_same_values(tmp_path, suffix, ids, unlabelled):
    names = ("a", "b", "=c", "d", "e", "f")
    stored = np.random.default_rng(0).integers(0, 7, (9, 11)).astype(np.uint8)
    path = tmp_path / f"map{suffix}"
    key = key_of(path, ClassKey.of_ids(names, ["#0072b2"] * 6, ids, unlabelled))
    write_classes(path, [stored[:4], stored[4:]], Grid(9, 11), key)
    write_areas(tmp_path / "areas.csv", count_classes([stored], 6), key, Grid(9, 11))
    raster = read_values(path)
    with open(tmp_path / "areas.csv", encoding="utf-8", newline="") as file:
        rows = {row["class"].lstrip("'"): row for row in csv.DictReader(file)}
    assert set(rows) == {*names, "no data"}
    for index, name in enumerate(("no data", *names)):
        pixels = int((stored == index).sum())
        assert int(rows[name]["pixels"]) == pixels
        assert int((raster == int(rows[name]["value"])).sum()) == pixels


def test_areas(tmp_path):
    counts = count_classes(strips(), 3)
    assert counts.sum() == 35
    write_areas(tmp_path / "plain.csv", counts, KEY, Grid(5, 7))
    with open(tmp_path / "plain.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"]: int(row["pixels"]) for row in rows} == {
        name: (number == STORED).sum() for number, name in enumerate(("no data", *NAMES))
    }
    assert "hectares" not in rows[0]


@pytest.mark.parametrize(
    ("crs", "hectares"),
    [
        ("EPSG:32616", 0.06),
        ("EPSG:2225", 0.06 * 0.3048006096**2),
        ("EPSG:4326", None),
        ("EPSG:3857", None),
    ],
)
def test_hectares_need_a_projection(tmp_path, crs, hectares):
    pytest.importorskip("rasterio")
    found = Grid(5, 7, crs, TRANSFORM).hectares_per_pixel
    assert found == (None if hectares is None else pytest.approx(hectares))


def test_what_cannot_be_written_is_said_before(tmp_path):
    with pytest.raises(InputError, match=r"\.tif"):
        check_file(tmp_path / "map.jpg", CLASS_SUFFIXES, "output", GRID)
    pytest.importorskip("rasterio")
    turned = Grid(5, 7, None, (30.0, 1.0, 0.0, 1.0, -30.0, 0.0))
    with pytest.raises(InputError, match="turned"):
        check_file(tmp_path / "map.hdr", CLASS_SUFFIXES, "output", turned)


@pytest.mark.parametrize("name", ["map.tif", "map.hdr", "map.npy", "map.png"])
def test_a_folder_that_is_missing(tmp_path, name):
    path = tmp_path / "missing" / name
    with pytest.raises(StorageError, match="missing"):
        write_classes(path, strips(), Grid(5, 7), key_of(path, KEY))
    assert list(tmp_path.iterdir()) == []
