"""Which pixels are learnt from without labels."""

import numpy as np
import pytest

from hsi_jax.data.splits.split import NO_IDS, Split
from hsi_jax.data.splits.unlabelled import unlabelled_split
from hsi_jax.errors import InputError


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.29])
def test_all_pixels_with_data_are_in_one_set(fraction):
    nodata = np.zeros((10, 12), bool)
    nodata[:2] = True
    split = unlabelled_split((10, 12, 5), 3, validation_fraction=fraction, nodata=nodata)
    both = np.concatenate([split.train, split.validation])
    assert sorted(both) == list(range(24, 120))
    assert len(split.validation) == int(fraction * 96 + 1e-9)
    assert not len(split.test)
    assert split.train.dtype == split.validation.dtype == np.int32
    assert "test pixels of any split" in split.remarks[0]
    again = unlabelled_split((10, 12, 5), 3, validation_fraction=fraction, nodata=nodata)
    assert np.array_equal(split.validation, again.validation)


def test_test_pixels_of_a_split_are_left_out():
    test = np.array([3, 7, 11], np.int32)
    known = Split("disjoint", np.array([0], np.int32), NO_IDS, test)
    split = unlabelled_split((3, 4), 0, validation_fraction=0.5, without=known)
    seen = np.concatenate([split.train, split.validation])
    assert sorted(seen) == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert np.array_equal(split.test, test)
    assert "3 test pixels of the disjoint split are hidden" in split.remarks[0]


def test_a_scene_without_data_is_refused():
    with pytest.raises(InputError, match="no pixel has data"):
        unlabelled_split((2, 2), 0, validation_fraction=0.1, nodata=np.ones((2, 2), bool))
