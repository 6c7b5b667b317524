"""Pixels worth a label: uncertain, apart, with data, without a label, in a file for GIS."""

import csv

import numpy as np
import pytest

from hsi_jax import session
from hsi_jax.commands.suggest import SuggestOptions, suggest
from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.map_grid import Grid
from hsi_jax.evaluate.maps.point_file import check_points, write_points
from hsi_jax.evaluate.measures.suggestion import choose_pixels, uncertainty_of

TRANSFORM = (30.0, 0.0, 600_000.0, 0.0, -30.0, 4_500_000.0)


def test_uncertainty_is_one_less_the_margin():
    found = uncertainty_of(np.array([[0.5, 0.5, 0], [1, 0, 0], [0.6, 0.1, 0.3]]))
    np.testing.assert_allclose(found, [1, 0, 0.7])


def test_chosen_pixels_are_apart_and_unlike_each_other():
    rng = np.random.default_rng(0)
    positions = np.argwhere(np.ones((30, 30)))
    probabilities = rng.dirichlet(np.ones(4), len(positions))
    uncertainty = uncertainty_of(probabilities)
    chosen = choose_pixels(positions, uncertainty, probabilities, count=12, distance=6)
    assert len(set(chosen)) == 12
    assert chosen[0] == uncertainty.argmax()
    for one in range(12):
        for other in range(one):
            assert np.abs(positions[chosen[one]] - positions[chosen[other]]).max() >= 6
    # By brute force: no free pixel would have been worth more as the second.
    apart = np.abs(positions - positions[chosen[0]]).max(1) >= 6
    unlike = np.linalg.norm(probabilities - probabilities[chosen[0]], axis=1)
    assert chosen[1] == np.argmax(np.where(apart, uncertainty * unlike, -1))
    assert uncertainty[chosen].mean() > uncertainty.mean()


def test_where_no_more_are_apart_there_are_fewer():
    positions = np.argwhere(np.ones((4, 4)))
    some = np.full((16, 2), 0.5)
    assert len(choose_pixels(positions, np.ones(16), some, count=9, distance=3)) <= 4
    with pytest.raises(InputError, match="no pixel is left"):
        choose_pixels(positions[:0], np.ones(0), some[:0], count=1, distance=1)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_points_lie_at_the_centres_of_pixels(tmp_path, suffix):
    pyogrio = pytest.importorskip("pyogrio")
    shapely = pytest.importorskip("shapely")
    path = tmp_path / f"points{suffix}"
    grid = Grid(20, 20, "EPSG:32616", TRANSFORM)
    check_points(path, grid)
    names = ["Maize", "Wöod"]
    write_points(path, np.array([[0, 0], [2, 5]]), grid, {"class_name": names})
    known, _, geometry, values = pyogrio.raw.read(path)
    assert "32616" in known["crs"]
    points = shapely.get_coordinates(shapely.from_wkb(geometry))
    np.testing.assert_allclose(points, [[600_015, 4_499_985], [600_165, 4_499_925]])
    fields = dict(zip(known["fields"], values, strict=True))
    assert list(fields["class_name"]) == names
    assert list(fields["column"]) == [0, 5]


def test_a_file_that_cannot_be_written_is_refused_first(tmp_path):
    with pytest.raises(InputError, match="does not say where on the Earth"):
        check_points(tmp_path / "p.gpkg", Grid(2, 2))
    with pytest.raises(InputError, match="ends in"):
        check_points(tmp_path / "p.shp", Grid(2, 2))


@pytest.mark.slow
def test_the_command_names_pixels_without_a_label(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.kron(rng.permuted(np.arange(16) % 2).reshape(4, 4), np.ones((6, 6), int))
    cube = rng.normal(0, 1, (24, 24, 3)) + truth[..., None] * np.array([1, -1, 0])
    labels = np.where(np.arange(24) < 10, truth + 1, 0)
    cube[20, 20] = np.nan
    np.savez(tmp_path / "scene.npz", cube=cube, labels=labels)
    path, run = str(tmp_path / "scene.npz"), str(tmp_path / "run")
    options = session.RunOptions.of(
        dataset="file",
        cube=path,
        labels=path,
        nodata="nan",
        model="mlp",
        model_options="hidden=(16, 8); dropout=0",
        profile="1",
        steps=20,
        figures="none",
        workdir=run,
    )
    session.run(options)
    output = tmp_path / "points.csv"
    suggest(SuggestOptions(run=run, count=6, distance=3, output=str(output)))
    with open(output, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["class_name"] for row in rows} <= {"class 1", "class 2"}
    for row in rows:
        assert int(row["column"]) >= 12  # labels end at 9, and 3 pixels lie between
        assert (int(row["row"]), int(row["column"])) != (20, 20)
    with pytest.raises(InputError, match="exists already"):
        suggest(SuggestOptions(run=run, output=str(output)))
