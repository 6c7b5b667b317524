"""A run on a GeoTIFF that is labelled by polygons."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from hsi_jax import session
from hsi_jax.errors import InputError
from hsi_jax.session.loading import open_scene
from hsi_jax.session.options import RunOptions
from hsi_jax.trained import write_map
from tests.session.runs import run

TRANSFORM = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)
FLAGS = {
    "dataset": "file",
    "model": "mlp",
    "model_options": "hidden=(8, 8); dropout=0",
    "patch_size": 1,
    "steps": 30,
    "figures": "none",
    "learning_rate": 0.03,
    "profile": "1",
    "checkpoint_every": 0,
}


@pytest.fixture
def folder(tmp_path):
    """Twelve fields of 4 x 4 pixels of two crops, in a cube without data at its right border."""
    rng = np.random.default_rng(0)
    crops = np.kron(np.arange(12).reshape(3, 4) % 2, np.ones((5, 5), int))
    cube = 1000 + 500 * crops[..., np.newaxis] * [1, 0, -1] + rng.integers(0, 50, (15, 20, 3))
    cube[:, 19] = -9999
    with rasterio.open(
        tmp_path / "cube.tif",
        "w",
        driver="GTiff",
        height=15,
        width=20,
        count=3,
        dtype="int16",
        nodata=-9999,
        crs="EPSG:32616",
        transform=TRANSFORM,
    ) as file:
        file.write(cube.astype("int16").transpose(2, 0, 1))
    features = []
    for number in range(12):
        row, column = 5 * (number // 4), 5 * (number % 4)
        ring = [(column, row), (column + 4, row), (column + 4, row + 4), (column, row + 4)]
        places = [[*(TRANSFORM @ place)] for place in [*ring, ring[0]]]
        features.append(
            {
                "type": "Feature",
                "properties": {"crop": ("corn", "soy")[number % 2]},
                "geometry": {"type": "Polygon", "coordinates": [places]},
            }
        )
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}
    content = {"type": "FeatureCollection", "crs": crs, "features": features}
    (tmp_path / "fields.geojson").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.slow
def test_polygons_train_and_others_test(folder):
    options = RunOptions.of(
        **FLAGS,
        cube=str(folder / "cube.tif"),
        labels=str(folder / "fields.geojson"),
        split="polygons",
        train_fraction=0.5,
        workdir=str(folder / "run"),
    )
    summary = run(options)
    assert summary.split.kind == "polygons"
    assert summary.class_names == ("corn", "soy")
    with np.load(folder / "run" / "prediction.npz") as file:
        truth, test = file["truth"], file["test"]
        train = file["train"] | file["validation"]
    assert (truth > 0).sum() == 12 * 16
    for row in range(0, 15, 5):
        for column in range(0, 20, 5):
            field = (slice(row, row + 4), slice(column, column + 4))
            assert sorted((train[field].sum(), test[field].sum())) == [0, 16]
    assert summary.overall_accuracy == 1


def test_classes_have_the_names_and_colours_of_a_file(folder):
    table = "id,name,colour\n1,Zea mays,\n2,Glycine max,#009e73\n9,not here,#ffffff\n"
    (folder / "classes.csv").write_text(table)
    options = RunOptions.of(
        **FLAGS | {"steps": 1},
        cube=str(folder / "cube.tif"),
        labels=str(folder / "fields.geojson"),
        split="polygons",
        train_fraction=0.5,
        classes=str(folder / "classes.csv"),
        workdir=str(folder / "run"),
    )
    result = session.run(options)
    assert result.summary.class_names == ("Zea mays", "Glycine max")
    scene = open_scene(options)
    classes = result.model.predict(scene)
    for name in ("map.tif", "map.hdr", "map.npy"):
        write_map(folder / name, classes, model=result.model, scene=scene)
    with rasterio.open(folder / "map.tif") as file:
        np.testing.assert_array_equal(file.read(1, masked=True).filled(0), classes + 1)
        assert file.transform == TRANSFORM
        assert file.crs.to_epsg() == 32616
        # A class without a colour has one that no other class has.
        assert [file.colormap(1)[value][:3] for value in (1, 2)] == [(0, 114, 178), (0, 158, 115)]
    assert "Glycine max" in (folder / "map.hdr").read_text()
    np.testing.assert_array_equal(np.load(folder / "map.npy"), classes + 1)
    with pytest.raises(InputError, match="exists already"):
        write_map(folder / "map.tif", classes, model=result.model, scene=scene)
    with pytest.raises(InputError, match=r"15 x 20 pixels"):
        write_map(folder / "other.tif", classes[1:], model=result.model, scene=scene)
    with pytest.raises(InputError, match="holds -1 to 2"):
        write_map(folder / "other.tif", classes + (classes == 1), model=result.model, scene=scene)
    (folder / "classes.csv").write_text("id,name\n9,not here\n")
    with pytest.raises(InputError, match="names the ids 9, but the classes of cube are 1, 2"):
        open_scene(options)


def test_polygons_are_needed(folder):
    np.save(folder / "labels.npy", np.arange(300).reshape(15, 20) % 3)
    options = RunOptions.of(
        **FLAGS,
        cube=str(folder / "cube.tif"),
        labels=str(folder / "labels.npy"),
        split="polygons",
        workdir=str(folder / "run"),
    )
    with pytest.raises(InputError, match="polygons"):
        run(options)
    assert not (folder / "run").exists()
