"""What is found before training, and kept: lost pixels, damaged files, values that are none."""

import numpy as np
import pytest

from hsi_jax.data import LabelledPixels, ReadOptions, SceneCollection
from hsi_jax.data.collection.exact_fit import fit_scaling
from hsi_jax.data.collection.kept_arrays import KeptArrays
from hsi_jax.data.collection.survey import survey
from hsi_jax.data.collection.team import Team
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.errors import InputError
from tests.data.collection import made_scenes as made

TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16}


@pytest.fixture
def table(tmp_path):
    return made.write_collection(tmp_path, 4, **TILED)


def open_pixels(table, **reading):
    return LabelledPixels.of(SceneCollection.open(table, reading=ReadOptions(**reading)), 16)


def look(table, *, team=None, kept=None, **reading):
    pixels = open_pixels(table, **reading)
    options = ReadOptions(**reading)
    return pixels, survey(pixels, options, team=team or Team(), kept=kept or KeptArrays())


def rewrite(table, number, change, **profile):
    """Writes a scene again, changed."""
    cube, _ = made.learnable(number, 40, 36)
    change(cube)
    place = (500_000 + 1000 * number, 4_000_000)
    made.write_scene(table.parent / f"s{number}.tif", cube, place=place, **TILED, **profile)


def test_labelled_pixels_without_data_are_found_by_the_rule_of_the_file(table):
    def spoil(cube):
        cube[3:9, 4:30, 2] = -9999  # one band is enough

    rewrite(table, 2, spoil, nodata=-9999)
    pixels, found = look(table)
    row, column = np.divmod(pixels.pixels, 36)
    inside = (row >= 3) & (row < 9) & (column >= 4) & (column < 30)
    expected = inside & (pixels.scene_of(np.arange(len(pixels))) == 2)
    np.testing.assert_array_equal(found.lost, expected)
    assert found.lost.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_names_row_and_pixel(table, value):
    def spoil(cube):
        cube[20, 30, 1] = value

    rewrite(table, 1, spoil)
    with pytest.raises(InputError, match=r"scenes.csv, row 2 \(s1\): .*row 20, column 30"):
        look(table)
    pixels, found = look(table, nodata=(np.nan,))
    assert found.lost.sum() <= 1
    assert pixels.collection.nodata_values[0] != pixels.collection.nodata_values[0]


def test_values_that_look_like_no_data_are_named(table):
    def spoil(cube):
        cube[:20] = -9999

    rewrite(table, 3, spoil)
    with pytest.raises(InputError, match=r"row 4 \(s3\): .*`nodata`=-9999"):
        look(table)


@pytest.mark.parametrize("part", [0, 300, 20_000])
def test_a_lost_or_truncated_file_is_named_before_training(table, part):
    path = table.parent / "s2.tif"
    content = path.read_bytes()
    path.write_bytes(content[:part])
    with pytest.raises(InputError, match=r"scenes\.csv, row 3 \(s2\): .*s2\.tif"):
        look(table)
    path.unlink()
    with pytest.raises(InputError, match=r"scenes\.csv, row 3 \(s2\): There is no file"):
        look(table)


def test_another_unit_is_told(table):
    def spoil(cube):
        cube *= 10_000

    rewrite(table, 1, spoil)
    _, found = look(table)
    assert len(found.remarks) == 1
    assert "row 2 (s1) lie at about" in found.remarks[0]


def test_what_was_found_is_kept_until_a_file_changes(table, tmp_path, monkeypatch):
    kept = KeptArrays(tmp_path / "kept")
    _, first = look(table, kept=kept)
    with monkeypatch.context() as patch:
        patch.setattr("hsi_jax.data.collection.survey._look_through", None)
        _, again = look(table, kept=kept)
    np.testing.assert_array_equal(again.lost, first.lost)
    np.testing.assert_array_equal(again.origin, first.origin)
    rewrite(table, 0, lambda cube: cube.fill(np.nan), nodata=np.nan)
    _, changed = look(table, kept=kept)
    assert changed.lost.any()
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(b"damaged")
    _, anew = look(table, kept=kept)
    np.testing.assert_array_equal(anew.lost, changed.lost)


def together(work):
    """What processes find that do their work one after the other, and add it: of each of three.

    The arrays of all are added in a first round and given to each in a second one.
    """
    added: list[list[np.ndarray]] = [[], [], []]

    def record(rank):
        def add(array):
            added[rank].append(np.array(array))
            return array

        return add

    for rank in range(3):
        work(Team(rank, 3, record(rank)))
    sums = [sum(arrays[1:], arrays[0]) for arrays in zip(*added, strict=True)]

    def given(_):
        left = iter(sums)
        return lambda array: next(left)

    return [work(Team(rank, 3, given(rank))) for rank in range(3)]


def test_processes_that_divide_the_work_find_the_same_bits(table):
    def spoil(cube):
        cube[3:9, 4:30] = -9999

    rewrite(table, 2, spoil, nodata=-9999)
    _, alone = look(table)
    for found in together(lambda team: look(table, team=team)[1]):
        np.testing.assert_array_equal(found.lost, alone.lost)
        np.testing.assert_array_equal(found.origin, alone.origin)
        assert found.value_ranges == alone.value_ranges


@pytest.mark.parametrize("components", [0, 3])
def test_the_scaling_has_the_same_bits_however_it_is_divided(table, tmp_path, components):
    pixels = open_pixels(table)
    train = np.arange(0, len(pixels), 3, dtype=np.int32)
    origin = np.full(6, 0.25)

    def fit(team, kept=None):
        return fit_scaling(
            pixels, train, components, origin=origin, team=team, kept=kept or KeptArrays()
        )

    alone = fit(Team())
    kept = KeptArrays(tmp_path / "kept")
    others = [*together(fit), fit(Team(), kept), fit(Team(), kept)]
    assert len([*(tmp_path / "kept").iterdir()]) == 1
    for found in others:
        for name, array in alone.to_arrays().items():
            np.testing.assert_array_equal(found.to_arrays()[name], array)
    spectra = np.concatenate([made.learnable(k, 40, 36)[0].reshape(-1, 6) for k in range(4)])
    scene = pixels.scene_of(train)
    used = spectra[scene * 40 * 36 + pixels.pixels[train]][None]
    expected = Preprocessing.fit(used, np.arange(len(train)), components)
    np.testing.assert_allclose(alone.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(alone.scale, expected.scale, rtol=1e-5)
