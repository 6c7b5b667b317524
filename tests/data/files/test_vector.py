"""Polygons and points become pixels: which, of which class, in which reference system."""

import json

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio.warp import transform_geom
from shapely import Point, Polygon, box

from hsi_jax.data import Raster, burn_labels, file_scene, read_labels
from hsi_jax.errors import InputError

SIZE = 10.0  # of a pixel, m
LEFT, TOP = 500_000.0, 4_000_000.0
SHAPE = (12, 20)
GRID = Raster(np.ones((*SHAPE, 3)), crs="EPSG:32616", transform=(SIZE, 0.0, LEFT, 0.0, -SIZE, TOP))


def pixels(row, column, rows=1, columns=1, margin=0.0):
    """The box of some pixels, in coordinates, smaller by a margin in pixels."""
    west, north = LEFT + SIZE * (column + margin), TOP - SIZE * (row + margin)
    east, south = LEFT + SIZE * (column + columns - margin), TOP - SIZE * (row + rows - margin)
    return box(west, south, east, north)


def write(path, shapes, crs="EPSG:32616", kind="Polygon", **attributes):
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes)),
        [np.array(values) for values in attributes.values()],
        list(attributes),
        geometry_type=kind,
        crs=crs,
    )
    return path


TWO = [pixels(1, 2, 3, 4), pixels(6, 10, 2, 5)]
EXPECTED = np.zeros(SHAPE, int)
EXPECTED[1:4, 2:6], EXPECTED[6:8, 10:15] = 1, 2


@pytest.mark.parametrize("suffix", [".shp", ".gpkg"])
def test_polygons_take_the_pixels_whose_centres_they_hold(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", TWO, label=["corn", "soy"])
    burnt = burn_labels(path, SHAPE, GRID)
    np.testing.assert_array_equal(burnt.ids, EXPECTED)
    np.testing.assert_array_equal(burnt.polygon_ids, EXPECTED - 1)
    assert burnt.ids.dtype == burnt.polygon_ids.dtype == np.int32
    assert burnt.class_names == {1: "corn", 2: "soy"}
    assert any("label" in remark for remark in burnt.remarks)


def test_geojson_in_degrees_is_brought_to_the_scene(tmp_path):
    features = [
        {
            "type": "Feature",
            "properties": {"class": name},
            "geometry": transform_geom("EPSG:32616", "EPSG:4326", shapely.geometry.mapping(shape)),
        }
        for shape, name in zip(TWO, ("corn", "soy"), strict=True)
    ]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    np.testing.assert_array_equal(burn_labels(path, SHAPE, GRID).ids, EXPECTED)


def test_small_polygons_need_touching(tmp_path):
    small = [
        pixels(1, 2, 3, 4),
        Polygon([(LEFT + 91, TOP - 51), (LEFT + 93, TOP - 51), (LEFT + 92, TOP - 53)]),
    ]
    path = write(tmp_path / "a.gpkg", small, label=["corn", "soy"])
    burnt = burn_labels(path, SHAPE, GRID)
    assert np.unique(burnt.ids).tolist() == [0, 1]
    assert any("1 of 2" in remark for remark in burnt.remarks)
    assert np.argwhere(burn_labels(path, SHAPE, GRID, touched=True).ids == 2).tolist() == [[5, 9]]


def test_points_take_their_pixel(tmp_path):
    points = [Point(LEFT + SIZE * (c + 0.3), TOP - SIZE * (r + 0.9)) for r, c in ((0, 0), (11, 19))]
    path = write(tmp_path / "a.gpkg", points, kind="Point", species=[4, 9])
    burnt = burn_labels(path, SHAPE, GRID)
    assert np.argwhere(burnt.ids).tolist() == [[0, 0], [11, 19]]
    assert (burnt.ids[0, 0], burnt.ids[11, 19]) == (4, 9)
    assert burnt.class_names == {4: "class 4", 9: "class 9"}


def test_pixels_of_two_classes_get_none(tmp_path):
    shapes = [pixels(1, 2, 4, 4), pixels(3, 4, 4, 4), pixels(1, 2, 1, 1)]
    path = write(tmp_path / "a.gpkg", shapes, label=["corn", "soy", "corn"])
    burnt = burn_labels(path, SHAPE, GRID)
    disputed = np.zeros(SHAPE, bool)
    disputed[3:5, 4:6] = True
    assert not burnt.ids[disputed].any()
    assert (burnt.polygon_ids[disputed] == -1).all()
    assert (burnt.ids == 1).sum() == 16 - 4
    assert burnt.polygon_ids[1, 2] == 2
    assert any("4 pixels" in remark for remark in burnt.remarks)


def test_names_and_ids_in_two_attributes(tmp_path):
    shapes = [*TWO, pixels(9, 0)]
    path = write(
        tmp_path / "a.gpkg", shapes, label=["soy", "corn", "soy"], code=[7, 3, 7], other=[1, 2, 3]
    )
    for attribute in (None, "label", "code"):
        assert burn_labels(path, SHAPE, GRID, attribute=attribute).class_names == {
            3: "corn",
            7: "soy",
        }
    assert burn_labels(path, SHAPE, GRID, attribute="other").class_names == {
        number: f"class {number}" for number in (1, 2, 3)
    }


def test_features_without_class_or_shape_are_left_out(tmp_path):
    path = write(
        tmp_path / "a.gpkg", [*TWO, pixels(9, 0), None], label=["corn", "soy", None, "soy"]
    )
    burnt = burn_labels(path, SHAPE, GRID)
    np.testing.assert_array_equal(burnt.ids, EXPECTED)
    assert any("2 of 4" in remark for remark in burnt.remarks)


def test_without_a_reference_system_it_is_said(tmp_path):
    path = write(tmp_path / "a.shp", TWO, label=["corn", "soy"])
    (tmp_path / "a.prj").unlink()
    burnt = burn_labels(path, SHAPE, GRID)
    np.testing.assert_array_equal(burnt.ids, EXPECTED)
    assert any("reference system" in remark for remark in burnt.remarks)


@pytest.mark.parametrize(
    ("attributes", "asked", "word"),
    [
        ({"a": ["x", "y"], "b": ["u", "v"]}, None, "labels_attribute"),
        ({"a": ["x", "y"], "b": ["u", "v"]}, "c", "a, b"),
        ({"label": ["x", "x"]}, None, "at least two"),
        ({"label": [0.5, 1.5]}, None, "label"),
        ({"label": [-1, 2]}, None, "label"),
    ],
)
def test_wrong_attributes_are_refused(tmp_path, attributes, asked, word):
    path = write(tmp_path / "a.gpkg", TWO, **attributes)
    with pytest.raises(InputError, match=word):
        burn_labels(path, SHAPE, GRID, attribute=asked)


def test_polygons_elsewhere_are_refused(tmp_path):
    path = write(tmp_path / "a.gpkg", [pixels(100, 2), pixels(200, 2)], label=["corn", "soy"])
    with pytest.raises(InputError, match="same place"):
        burn_labels(path, SHAPE, GRID)


def test_lines_are_refused(tmp_path):
    lines = [shape.boundary for shape in TWO]
    path = write(tmp_path / "a.gpkg", lines, kind="LineString", label=["corn", "soy"])
    with pytest.raises(InputError, match="LineString"):
        burn_labels(path, SHAPE, GRID)


def test_a_scene_without_position_is_refused(tmp_path):
    path = write(tmp_path / "a.gpkg", TWO, label=["corn", "soy"])
    np.save(tmp_path / "cube.npy", GRID.array)
    with pytest.raises(InputError, match="georeference"):
        file_scene(tmp_path / "cube.npy", path)


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyogrio", None)
    with pytest.raises(InputError, match="pip install pyogrio"):
        burn_labels(tmp_path / "a.gpkg", SHAPE, GRID)


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".geojson"])
@pytest.mark.parametrize("part", [0.0, 0.05, 0.5])
def test_cut_files_are_refused(tmp_path, suffix, part):
    crs = "EPSG:4326" if suffix == ".geojson" else "EPSG:32616"
    path = write(tmp_path / f"a{suffix}", TWO, crs=crs, label=["corn", "soy"])
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(InputError, match=rf"a\{suffix}"):
        burn_labels(path, SHAPE, GRID)


def test_options_of_polygons_do_not_go_with_maps(tmp_path):
    np.save(tmp_path / "map.npy", EXPECTED)
    with pytest.raises(InputError, match="labels_attribute"):
        read_labels(tmp_path / "map.npy", GRID, attribute="label")
    with pytest.raises(InputError, match="labels_touched"):
        read_labels(tmp_path / "map.npy", GRID, touched=True)
    path = write(tmp_path / "a.gpkg", TWO, label=["corn", "soy"])
    with pytest.raises(InputError, match="labels_variable"):
        read_labels(path, GRID, variable="gt")


@pytest.mark.parametrize("attribute", [None, "class", "code"])
def test_codes_of_ten_digits(attribute, tmp_path):
    path = write(tmp_path / "a.gpkg", [*TWO, TWO[0]], **CODES)
    burnt = burn_labels(path, SHAPE, GRID, attribute=attribute)
    np.testing.assert_array_equal(burnt.ids, np.where(EXPECTED, 3 - EXPECTED, 0))
    assert burnt.class_names == {1: "corn", 2: "soy"}
    assert any("numbered" in remark for remark in burnt.remarks)


CODES = {"class": ["soy", "corn", "soy"], "code": np.array([9_000_000_002, 2**31, 9_000_000_002])}


def test_styles_of_qgis_are_no_layer_of_polygons(tmp_path):
    path = write(tmp_path / "a.gpkg", TWO, label=["corn", "soy"])
    pyogrio.raw.write(
        path, None, [np.array(["default"])], ["styleName"], layer="layer_styles", geometry_type=None
    )
    assert len(pyogrio.list_layers(path)) == 2
    np.testing.assert_array_equal(burn_labels(path, SHAPE, GRID).ids, EXPECTED)


def test_collections_of_polygons_and_of_lines(tmp_path):
    collection = shapely.GeometryCollection([TWO[0], shapely.GeometryCollection([TWO[1]])])
    other = pixels(10, 0)
    path = write(tmp_path / "a.gpkg", [collection, other], kind="Unknown", label=["corn", "soy"])
    expected = np.where(EXPECTED, 1, 0)
    expected[10, 0] = 2
    np.testing.assert_array_equal(burn_labels(path, SHAPE, GRID).ids, expected)
    lines = shapely.GeometryCollection([TWO[0], TWO[0].exterior])
    path = write(tmp_path / "b.gpkg", [lines, other], kind="Unknown", label=["corn", "soy"])
    with pytest.raises(InputError, match="LineString"):
        burn_labels(path, SHAPE, GRID)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.fgb", b"fgb\x03fgb\x00"),
        ("a.parquet", b"PAR1"),
        ("a.kml", b'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2">'),
        ("a.vrt", b"<OGRVRTDataSource>"),
    ],
)
def test_other_formats_are_named_with_what_to_do(name, content, tmp_path):
    (tmp_path / name).write_bytes(content + bytes(99))
    with pytest.raises(InputError, match="ogr2ogr"):
        read_labels(tmp_path / name, GRID)
