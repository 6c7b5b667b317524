"""No pixel, band, label or scene is mistaken for another, however files differ."""

import datetime
import json
from pathlib import Path

import numpy as np
import pytest

from hsi_jax.data import LabelledPixels, SceneCollection
from hsi_jax.data.collection.patch_reader import PatchReader
from hsi_jax.data.collection.scene_table import read_scene_table
from hsi_jax.data.collection.tile_reader import TileReader
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError
from tests.data.collection import made_scenes as made

SIZES = ((33, 17), (32, 16), (31, 40), (20, 20), (16, 48))
GRIDS = (made.NORTH_UP, made.SOUTH_UP, made.ROTATED, (20, 0, 0, -20), made.NORTH_UP)
ORDERS = (None, (5, 4, 3, 2, 1, 0), (2, 0, 1, 5, 3, 4), None, (0, 2, 4, 1, 3, 5))
SYSTEMS = ("EPSG:32617", "EPSG:32616", "EPSG:3358", "EPSG:4326", "EPSG:32617")
PATCH = 5


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Coded scenes on five grids, with five orders of bands, and other ids of the same classes."""
    folder = tmp_path_factory.mktemp("coded")
    rows = []
    for number, (rows_, columns) in enumerate(SIZES):
        cube = made.coded_cube(number, rows_, columns)
        made.write_scene(
            folder / f"s{number}.tif",
            cube,
            grid=GRIDS[number],
            order=ORDERS[number],
            crs=SYSTEMS[number],
            **({"tiled": True, "blockxsize": 16, "blockysize": 16} if number % 2 else {}),
        )
        ids = np.arange(1, 4) if number % 2 == 0 else np.array([3, 1, 2])
        labels = ids[truth_at(number, *np.indices((rows_, columns)))]
        labels[(np.indices(labels.shape).sum(0) + number) % 3 == 0] = 0
        names = {int(own): name for own, name in zip(ids, made.NAMES.values(), strict=True)}
        made.write_labels(folder / f"s{number}_labels.tif", labels, names)
        rows.append({"image": f"s{number}.tif", "labels": f"s{number}_labels.tif"})
    return made.write_table(folder / "scenes.csv", rows)


def truth_at(scene, row, column):
    """The class of a pixel, by its place alone."""
    return (scene + 2 * row + column // 3) % 3


@pytest.fixture(scope="module")
def collection(table):
    return SceneCollection.open(table)


def plain(collection):
    """A scaling that changes nothing."""
    bands = collection.num_bands
    return Preprocessing(np.zeros(bands), np.ones(bands))


def test_classes_are_joined_by_name_and_keep_the_ids_of_the_first_scene(collection):
    assert len(collection) == 5
    assert collection.class_names == ("water", "forest", "field")
    assert collection.class_ids == (1, 2, 3)
    assert [scene.size for scene in collection] == [*SIZES]
    assert collection.class_counts.sum() == sum(len(scene.pixels) for scene in collection)


@pytest.mark.parametrize("tile_side", [16, 17, 32, 64])
def test_every_sample_is_the_pixel_band_and_label_that_it_should_be(collection, tile_side):
    pixels = LabelledPixels.of(collection, tile_side)
    reader = TileReader(pixels, plain(collection), PATCH)
    patches = PatchReader(reader, np.arange(len(pixels), dtype=np.int32), cache_bytes=2**20)
    ids = np.random.default_rng(0).permutation(len(pixels)).astype(np.int32)
    values, labels = patches.read(ids)
    middle = values[:, PATCH // 2, PATCH // 2]
    scene, rest = np.divmod(middle[:, 0].astype(int), 100_000)
    row, column = rest // 1000, rest % 1000 // 10
    assert (middle - middle[:, :1] == np.arange(6)).all()  # the bands, in the first scene's order
    assert (scene == pixels.scene_of(ids)).all()
    assert (labels == truth_at(scene, row, column)).all()
    places = np.unique(np.stack([scene, row, column]), axis=1)
    assert places.shape[1] == len(pixels)  # each once
    for scene_number, whole in enumerate(SIZES):
        cube = made.coded_cube(scene_number, *whole)
        mirrored = np.pad(cube, [(PATCH // 2,) * 2] * 2 + [(0, 0)], "reflect")
        for k in np.flatnonzero(scene == scene_number)[:40]:
            own = mirrored[row[k] : row[k] + PATCH, column[k] : column[k] + PATCH]
            np.testing.assert_array_equal(values[k], own)


def test_samples_of_a_tile_follow_each_other(collection):
    pixels = LabelledPixels.of(collection, 16)
    ids = np.arange(len(pixels))
    assert (np.diff(pixels.tile_of(ids)) >= 0).all()
    for number, (scene, tile) in enumerate(pixels.tiles):
        own = pixels.pixels[pixels.ids_of_tile(number)]
        row, column = np.divmod(own, collection[scene].size[1])
        assert ((row >= tile.rows.start) & (row < tile.rows.stop)).all()
        assert ((column >= tile.columns.start) & (column < tile.columns.stop)).all()


def test_lost_pixels_leave_the_others_as_they_were(collection):
    pixels = LabelledPixels.of(collection, 16)
    lost = np.arange(len(pixels)) % 3 == 0
    left = pixels.without(lost)
    ids = np.arange(len(left))
    np.testing.assert_array_equal(left.pixels, pixels.pixels[~lost])
    np.testing.assert_array_equal(left.scene_of(ids), pixels.scene_of(np.flatnonzero(~lost)))
    np.testing.assert_array_equal(left.tile_of(ids), pixels.tile_of(np.flatnonzero(~lost)))
    with pytest.raises(InputError, match="no labelled pixel"):
        pixels.without(np.ones(len(pixels), bool))


# ------------------------------------------------------------------ tables


def rows_of(path):
    return [
        (row.name, Path(row.image).name, row.role, dict(row.groups))
        for row in read_scene_table(path)
    ]


def test_a_table_a_layer_and_a_stac_collection_say_the_same(tmp_path, table):
    pytest.importorskip("pyogrio")
    facts = [("s0", "train", "north", "2024-06-01"), ("s1", "test", "south", "2024-06-02")]
    made.write_table(
        tmp_path / "t.csv",
        [{"image": f"{n}.tif", "role": r, "site": s, "date": d} for n, r, s, d in facts],
    )
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    layer = [
        {
            "type": "Feature",
            "geometry": square,
            "properties": {"image": f"{n}.tif", "role": r, "site": s, "date": f"on {d}"},
        }
        for n, r, s, d in facts
    ]
    items = [
        {
            **{"type": "Feature", "stac_version": "1.0.0", "id": n, "geometry": square},
            "properties": {"datetime": f"{d}T10:00:00Z", "role": r, "site": s},
            "assets": {"data": {"href": f"./{n}.tif", "roles": ["data"]}},
        }
        for n, r, s, d in facts
    ]
    for name, features in (("t.geojson", layer), ("stac.json", items)):
        content = {"type": "FeatureCollection", "features": features}
        (tmp_path / name).write_text(json.dumps(content))
    expected = rows_of(tmp_path / "t.csv")
    assert expected[0] == ("s0", "s0.tif", "train", {"site": "north", "date": "2024-06-01"})
    assert rows_of(tmp_path / "stac.json") == expected
    assert [row[:3] for row in rows_of(tmp_path / "t.geojson")] == [row[:3] for row in expected]


def test_a_geoparquet_says_the_same_as_a_table(tmp_path, table):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    facts = {"image": ["s0.tif", "s1.tif"], "role": ["train", None], "site": ["north", "south"]}
    made.write_table(
        tmp_path / "t.csv",
        [
            {"image": "s0.tif", "role": "train", "site": "north", "row": 1, "date": "2024-06-01"},
            {"image": "s1.tif", "role": "", "site": "south", "row": 2, "date": "2024-06-02"},
        ],
    )
    days = [datetime.date(2024, 6, 1), datetime.date(2024, 6, 2)]
    shapes = [b"\x01\x03", b"\x01\x03"]  # geometries are not read
    layer = pyarrow.table({**facts, "row": [1, 2], "date": days, "geometry": shapes})
    parquet.write_table(layer, tmp_path / "t.parquet")
    assert rows_of(tmp_path / "t.parquet") == rows_of(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"image": ["x" * 2**12] * 2**15}, "unpacks to more than"),
        ({"image": ["a.tif"] * 100_001}, "has more than 100000 rows"),
        ({"image": ["a.tif"] * 2, "more": [bytes(2**26), b""]}, "unpacks to more than"),
        ({"picture": ["a.tif"]}, "row 1: it names no image"),
        (None, "t.parquet cannot be read"),
    ],
    ids=["one long text", "rows", "a large column", "no image", "no parquet"],
)
def test_a_geoparquet_that_is_no_table_of_scenes_is_refused(tmp_path, columns, problem):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    if columns is None:
        (tmp_path / "t.parquet").write_bytes(b"PAR1, and no more")
    else:
        parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet", compression="zstd")
    with pytest.raises(InputError, match=problem):
        read_scene_table(tmp_path / "t.parquet")


def test_a_pattern_takes_files_and_their_labels_by_the_star(table):
    folder = table.parent
    rows = read_scene_table(str(folder / "s?.tif"))
    assert [Path(row.image).name for row in rows] == [f"s{k}.tif" for k in range(5)]
    rows = read_scene_table(str(folder / "s*_labels.tif"), str(folder / "s*.tif"))
    assert [Path(row.labels).name for row in rows] == [f"s{k}.tif" for k in range(5)]
    with pytest.raises(InputError, match=r"there is no file .*s0_none\.tif"):
        read_scene_table(str(folder / "s*_labels.tif"), str(folder / "s*_none.tif"))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"image": ""}], r"row 1: it names no image"),
        ([{"image": "a.tif", "role": "tset"}], r"row 1 \(a\): role tset: give train"),
        ([{"image": "a.tif"}, {"image": "b/a.tif"}], r"row 2 \(a\): t.csv, row 1 \(a\) has the"),
        ([{"image": "https://x.org/a.tif"}], r"row 1 \(a\): https://x.org/a.tif is an address"),
        ([], "has no rows"),
    ],
)
def test_what_is_wrong_in_a_table_names_its_row(tmp_path, rows, problem):
    with pytest.raises(InputError, match=problem):
        read_scene_table(made.write_table(tmp_path / "t.csv", rows or [{}][:0]))


def test_a_scene_that_does_not_fit_names_its_row(tmp_path):
    cube = made.coded_cube(0, 20, 20)
    made.write_scene(tmp_path / "a.tif", cube)
    made.write_scene(tmp_path / "few.tif", cube, order=[0, 1, 2])
    made.write_labels(tmp_path / "small.tif", np.ones((10, 10), int))
    made.write_labels(tmp_path / "names.tif", np.ones((20, 20), int), made.NAMES)
    made.write_labels(tmp_path / "bare.tif", np.full((20, 20), 2))
    first = {"image": "a.tif", "labels": "names.tif"}
    for second, problem in (
        ({"image": "gone.tif"}, r"row 2 \(gone\): There is no file"),
        ({"image": "few.tif"}, r"row 2 \(few\): the scene has no band within 10 nm of 850 nm"),
        (
            {"image": "a.tif", "name": "b", "labels": "small.tif"},
            r"row 2 \(b\): .*shape \(10, 10\)",
        ),
        (
            {"image": "a.tif", "name": "b", "labels": "bare.tif"},
            r"row 2 \(b\): .* ids without names",
        ),
    ):
        table = made.write_table(tmp_path / "t.csv", [first, second])
        with pytest.raises(InputError, match=problem):
            SceneCollection.open(table)
