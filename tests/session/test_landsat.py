"""A real scene with a position, from polygons to a map that lies where they lie."""

import json

import numpy as np
import pytest

from hsi_jax.commands.predict import PredictOptions, predict
from hsi_jax.session.options import RunOptions
from tests.session.runs import run


@pytest.mark.long
@pytest.mark.slow
def test_polygons_to_a_map_in_its_place(real_data, tmp_path):
    """Position, no data and classes of the map, against the files by rasterio and pyogrio alone."""
    rasterio = pytest.importorskip("rasterio")
    folder = real_data / "landsat7_nc"
    bands, polygons = sorted(folder.glob("lsat7_2000_*.tif")), folder / "landsat96_polygons.shp"
    summary = run(
        RunOptions.of(
            dataset="file",
            cube=str(folder / "lsat7_2000_*.tif"),
            labels=str(polygons),
            split="polygons",
            train_fraction=0.5,
            patch_size=3,
            profile="1",
            epochs=15,
            learning_rate=0.01,
            workdir=str(tmp_path / "run"),
        )
    )
    assert summary.overall_accuracy > 0.6
    predict(PredictOptions(run=str(tmp_path / "run"), output=str(tmp_path / "map.tif")))

    missing = np.zeros((443, 489), bool)
    for path in bands:
        with rasterio.open(path) as band:
            missing |= band.read_masks(1) == 0
            place = band.crs, band.transform
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.crs, file.transform) == place
        assert np.array_equal(file.read_masks(1) == 0, missing)
        ids, colours = file.read(1), file.colormap(1)
        at_points = list(points_inside(polygons, place[0]))
        found = [
            (class_id, ids[file.index(*xy)]) for xy, class_id in at_points if covered(file, xy)
        ]
    with np.load(tmp_path / "run" / "prediction.npz") as maps:
        assert np.array_equal(maps["prediction"][~missing], ids[~missing])
        truth = maps["truth"]
    right = [(class_id, here) for class_id, here in found if class_id == here]
    assert len(found) > 15
    assert len(right) / len(found) > 0.6
    assert set(summary.class_ids) == set(np.unique(ids[~missing]))

    # The colour at a polygon is that of its class in the pictures, and the truth lies there too.
    model = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    wanted = dict(zip(model["class_ids"], model["colours"], strict=True))
    for class_id, here in right:
        assert "#{:02x}{:02x}{:02x}".format(*colours[here][:3]) == wanted[class_id].lower()
    for xy, class_id in at_points:
        row, column = rasterio.transform.rowcol(place[1], *xy)
        assert missing[row, column] or truth[row, column] == class_id


def covered(file, xy):
    """Whether the map holds data at a place."""
    return file.read_masks(1)[file.index(*xy)] > 0


def points_inside(path, crs):
    """A pixel's worth of ground inside each polygon that has one, and the id of its class."""
    from rasterio.warp import transform

    shapely = pytest.importorskip("shapely")
    pyogrio = pytest.importorskip("pyogrio")
    facts, _, shapes, columns = pyogrio.raw.read(path)
    ids = columns[facts["fields"].tolist().index("id")]
    for shape, class_id in zip(shapely.from_wkb(shapes), ids, strict=True):
        point = shape.centroid
        if shape.contains(point.buffer(60)):  # two pixels from the border
            (x,), (y,) = transform(facts["crs"], crs, [point.x], [point.y])
            yield (x, y), int(class_id)
