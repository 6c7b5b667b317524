"""Splits by lists of file names, and the published spatial split of EuroSAT."""

import os
from pathlib import Path

import numpy as np
import pytest

from hsi_jax.data.splits.name_lists import name_list_split
from hsi_jax.data.splits.validation import hold_out
from hsi_jax.errors import InputError

NAMES = [f"{name}_{number}.png" for name in ("lake", "town") for number in range(5)]
LABELS = np.repeat([0, 1], 5).astype(np.int32)


@pytest.fixture
def write(tmp_path):
    """Writes lists of numbers of images; the pattern that fits them."""

    def lists(**sets):
        for name, numbers in sets.items():
            names = [Path(NAMES[k]).stem + ".jpg" if isinstance(k, int) else k for k in numbers]
            (tmp_path / f"mine-{name}.txt").write_text("\n".join(names) + "\n\n")
        return str(tmp_path / "mine-*.txt")

    return lists


def test_lists_say_which_images_train_validate_and_test(write, check_sets):
    split = name_list_split(write(train=[7, 2, 0], val=[5], test=[9, 1]), NAMES, LABELS)
    check_sets(split, LABELS)
    assert split.kind == "lists"
    assert split.train.tolist() == [0, 2, 7]
    assert split.validation.tolist() == [5]
    assert split.test.tolist() == [1, 9]
    assert split.remarks[1] == "4 images are in no list."


@pytest.mark.parametrize(
    ("sets", "problem"),
    [
        ({"train": [0]}, "There is no file whose name ends in test.txt"),
        ({"train": [0, 1], "test": [1]}, "1 images are in both"),
        ({"train": [0, 0], "test": [1]}, "1 images twice"),
        ({"train": ["sea_1.jpg"], "test": [1]}, "names sea_1, which the set does not have"),
        ({"train": [0], "old-train": [2], "test": [1]}, "are several lists of images to train"),
    ],
)
def test_lists_that_do_not_fit_are_named(write, sets, problem):
    with pytest.raises(InputError, match=problem):
        name_list_split(write(**sets), NAMES, LABELS)


def test_images_of_the_same_name_cannot_be_told_apart(write):
    with pytest.raises(InputError, match="the same name"):
        name_list_split(write(train=[0], test=[1]), ["a.png", "a.jpg"], LABELS[:2])


@pytest.mark.slow
def test_the_published_lists_of_eurosat_divide_all_of_its_images():
    folder = Path(os.environ.get("HSI_JAX_TEST_DATA", "")) / "eurosat"
    if not (folder / "eurosat-spatial-train.txt").is_file():
        pytest.skip("no lists of EuroSAT there; set HSI_JAX_TEST_DATA to the folder of real data")
    import zipfile

    names = zipfile.ZipFile(folder / "EuroSAT.zip").namelist()
    names = [name for name in names if name.endswith(".jpg")]
    labels = np.unique([name.split("/")[1] for name in names], return_inverse=True)[1]
    split = name_list_split(str(folder / "eurosat-spatial-*.txt"), names, labels)
    sizes = [len(ids) for ids in (split.train, split.validation, split.test)]
    assert sizes == [16_200, 5_400, 5_400]
    assert len(split.remarks) == 1


def test_a_list_to_validate_leaves_nothing_to_hold_out(write):
    split = name_list_split(write(train=[0, 1, 6, 7], val=[5], test=[9]), NAMES, LABELS)
    assert hold_out(split, LABELS, 0.0, seed=0) is split
    with pytest.raises(InputError, match="already has 1 validation samples"):
        hold_out(split, LABELS, 0.25, seed=0)
