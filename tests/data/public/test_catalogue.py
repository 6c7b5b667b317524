from dataclasses import replace

import numpy as np
import pytest
import scipy.io

from hsi_jax.data.public import catalogue
from hsi_jax.data.public.catalogue import CATALOGUE
from hsi_jax.data.scene.scene_file import LABELLED_ONLY_NOTE, file_scene, load_scene
from hsi_jax.data.splits.split import class_counts
from hsi_jax.errors import InputError

ROWS, COLUMNS, BANDS = 6, 7, 4
ROW, COLUMN, BAND = np.mgrid[:ROWS, :COLUMNS, :BANDS]
CUBE = (1 + 100 * ROW + 10 * COLUMN + BAND).astype(np.uint16)
LABEL_IDS = np.zeros((ROWS, COLUMNS), np.uint8)
LABEL_IDS[1, 2:5] = 2
LABEL_IDS[4, 1:3] = 5


@pytest.fixture
def small_scene(monkeypatch):
    """Indian Pines as if it were small enough for a test to write."""
    info = replace(CATALOGUE["indian_pines"], shape=CUBE.shape, rgb_bands=(2, 1, 0))
    monkeypatch.setattr(catalogue, "CATALOGUE", {info.name: info})
    return info


def write(folder, info, cube=CUBE, label_ids=LABEL_IDS):
    folder.mkdir(exist_ok=True)
    scipy.io.savemat(folder / info.cube_file, {info.cube_variable: cube})
    scipy.io.savemat(folder / info.label_file, {info.label_variable: label_ids})


@pytest.mark.parametrize("info", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_entries_are_consistent(info):
    assert CATALOGUE[info.name] is info
    assert list(info.class_names) == list(range(1, len(info.class_names) + 1))
    assert len(set(info.class_names.values())) == len(info.class_names)
    assert all(0 <= band < info.shape[2] for band in info.rgb_bands)
    assert info.wavelengths_nm[0] < info.wavelengths_nm[1]
    assert info.cube_file != info.label_file


def test_numbers_of_classes():
    numbers = {name: len(info.class_names) for name, info in CATALOGUE.items()}
    assert numbers == {
        "indian_pines": 16,
        "salinas": 16,
        "salinas_a": 16,
        "pavia_university": 9,
        "pavia_centre": 9,
        "ksc": 13,
        "botswana": 14,
        "houston2013": 15,
    }


@pytest.mark.parametrize("subfolder", ["", "indian"])
def test_finds_files_in_the_folder_and_its_subfolders(small_scene, tmp_path, subfolder):
    write(tmp_path / subfolder, small_scene)
    scene = load_scene("indian_pines", tmp_path)
    np.testing.assert_array_equal(scene.cube, CUBE)
    np.testing.assert_array_equal(scene.original_labels(scene.require_labels()), LABEL_IDS)
    assert scene.class_names == ("Corn-notill", "Grass-pasture")
    assert (scene.name, scene.rgb_bands, scene.note) == ("indian_pines", (2, 1, 0), "")


def test_a_missing_file_says_where_to_get_it_and_where_to_put_it(small_scene, tmp_path):
    write(tmp_path, small_scene)
    (tmp_path / "Indian_pines_gt.mat").unlink()
    with pytest.raises(InputError) as error:
        load_scene("indian_pines", tmp_path)
    for part in ("Indian_pines_gt.mat", small_scene.page, str(tmp_path)):
        assert part in str(error.value)


def test_files_two_levels_down_are_not_searched(small_scene, tmp_path):
    (tmp_path / "one").mkdir()
    write(tmp_path / "one" / "two", small_scene)
    with pytest.raises(InputError, match=r"Indian_pines_corrected\.mat"):
        load_scene("indian_pines", tmp_path)


def test_a_missing_folder_and_an_unknown_scene_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        load_scene("ksc", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"'pavia'.*pavia_university"):
        load_scene("pavia", tmp_path)


def test_another_cube_under_the_right_name_is_refused(small_scene, tmp_path):
    write(tmp_path, small_scene, cube=CUBE[..., :-1])
    with pytest.raises(InputError, match=r"\(6, 7, 3\).*\(6, 7, 4\)"):
        load_scene("indian_pines", tmp_path)


def test_labels_of_another_shape_name_the_files(small_scene, tmp_path):
    write(tmp_path, small_scene, label_ids=LABEL_IDS[:-1])
    with pytest.raises(InputError, match=r"Indian_pines_gt\.mat.*\(5, 7\)"):
        load_scene("indian_pines", tmp_path)


def test_a_cube_of_labelled_pixels_only_is_noted(small_scene, tmp_path):
    write(tmp_path, small_scene, cube=CUBE * (LABEL_IDS > 0)[..., None])
    assert load_scene("indian_pines", tmp_path).note == LABELLED_ONLY_NOTE


def test_any_scene_from_files(tmp_path):
    np.save(tmp_path / "field.npy", CUBE)
    np.savez(tmp_path / "truth.npz", gt=LABEL_IDS, other=LABEL_IDS)
    scene = file_scene(tmp_path / "field.npy", tmp_path / "truth.npz", labels_variable="gt")
    assert (scene.name, scene.class_names) == ("field", ("class 2", "class 5"))
    np.testing.assert_array_equal(scene.cube, CUBE)
    with pytest.raises(InputError, match=r"truth\.npz.*labels_variable"):
        file_scene(tmp_path / "field.npy", tmp_path / "truth.npz")


def test_any_scene_from_one_file(tmp_path):
    np.savez(tmp_path / "both.npz", a=CUBE, b=LABEL_IDS)
    scene = file_scene(tmp_path / "both.npz", tmp_path / "both.npz")
    assert scene.labelled.tolist() == [9, 10, 11, 29, 30]


def test_any_scene_without_labels(tmp_path):
    np.savez(tmp_path / "both.npz", a=CUBE, b=LABEL_IDS)
    scene = file_scene(tmp_path / "both.npz")
    np.testing.assert_array_equal(scene.cube, CUBE)
    assert (scene.name, scene.has_labels, scene.num_classes) == ("both", False, 0)


def test_salinas_a_as_published(real_data):
    scene = load_scene("salinas_a", real_data)
    assert scene.class_ids == (1, 10, 11, 12, 13, 14)
    assert scene.class_names[1] == "Corn_senesced_green_weeds"
    assert (scene.cube.min(), scene.cube.max()) == (-9, 8373)
    counts = class_counts(scene.labelled, scene.require_labels(), scene.num_classes)
    assert counts.tolist() == [391, 1343, 616, 1525, 674, 799]
    assert scene.note == ""


def test_indian_pines_of_labelled_pixels_only(real_data):
    scene = load_scene("indian_pines", real_data / "indian_pines_labelled_only")
    counts = class_counts(scene.labelled, scene.require_labels(), scene.num_classes)
    expected = [46, 1428, 830, 237, 483, 730, 28, 478, 20, 972, 2455, 593, 205, 1265, 386, 93]
    assert counts.tolist() == expected
    assert dict(zip(scene.class_names, counts.tolist(), strict=True))["Oats"] == 20
    assert scene.note == LABELLED_ONLY_NOTE
