"""Validation that is held out as the test is: whole blocks or polygons, at the same distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from hsi_jax.data.splits.disjoint import disjoint_split
from hsi_jax.data.splits.distance import count_leakage
from hsi_jax.data.splits.polygons import polygon_split
from hsi_jax.data.splits.split import Split, class_counts, random_split
from hsi_jax.data.splits.validation import hold_out
from hsi_jax.errors import InputError

ROWS = COLUMNS = 60
COARSE = np.random.default_rng(0).integers(0, 3, (ROWS // 4, COLUMNS // 4))
LABELS = np.kron(COARSE, np.ones((4, 4), int)).astype(np.int32)
POLYGONS = np.kron(np.arange(COARSE.size).reshape(COARSE.shape), np.ones((4, 4), int))


@given(seed=st.integers(0, 999), guard=st.integers(0, 4), fraction=st.sampled_from([0.1, 0.3]))
def test_whole_blocks_are_held_out_at_the_guard(check_sets, seed, guard, fraction):
    before = disjoint_split(LABELS, seed, guard=guard, block_size=8, train_fraction=0.3)
    after = hold_out(before, LABELS, fraction, seed)
    check_sets(after, LABELS)
    np.testing.assert_array_equal(after.test, before.test)
    assert np.isin(np.concatenate([after.train, after.validation]), before.train).all()
    assert (class_counts(after.train, LABELS, 3) * 2 >= class_counts(before.train, LABELS, 3)).all()
    if not after.validation.size:
        assert "no validation" in after.remarks[-1]
        np.testing.assert_array_equal(after.train, before.train)
        return
    where = [np.stack(np.divmod(ids, COLUMNS), 1) for ids in (after.train, after.validation)]
    assert cdist(*where, "chebyshev").min() > guard
    assert count_leakage(after, LABELS.shape, 2 * guard + 1, which="validation") == 0
    blocks = [{tuple(place) for place in places // 8} for places in where]
    assert not blocks[0] & blocks[1]


def test_blocks_leave_validation_pixels():
    for seed in range(5):
        split = disjoint_split(LABELS, seed, guard=3, block_size=8, train_fraction=0.3)
        held = class_counts(hold_out(split, LABELS, 0.1, seed).validation, LABELS, 3)
        assert (held > 0).all()


@given(seed=st.integers(0, 999))
def test_whole_polygons_are_held_out(check_sets, seed):
    before = polygon_split(LABELS, POLYGONS, seed, train_fraction=0.3)
    after = hold_out(before, LABELS, 0.2, seed)
    check_sets(after, LABELS)
    own = [set(POLYGONS.ravel()[ids]) for ids in (after.train, after.validation)]
    assert not own[0] & own[1]
    np.testing.assert_array_equal(np.union1d(after.train, after.validation), before.train)
    held, had = (class_counts(ids, LABELS, 3) for ids in (after.validation, before.train))
    assert (held >= np.floor(0.2 * had)).all()
    assert (held < 0.2 * had + 16).all()  # a polygon more, at most


def test_too_few_groups_are_remarked():
    groups = np.zeros(LABELS.size, int)
    train = np.arange(90, dtype=np.int32)
    split = Split("polygons", train, np.empty(0, np.int32), train + 90, groups=groups)
    after = hold_out(split, LABELS, 0.2, 0)
    assert after.train is split.train
    assert "too few" in after.remarks[0]


def test_random_pixels_have_training_pixels_beside_them():
    split = hold_out(random_split(LABELS, 0, train_fraction=0.3), LABELS, 0.2, 0)
    assert count_leakage(split, LABELS.shape, 1, which="validation") == 0
    assert count_leakage(split, LABELS.shape, 5, which="validation") == len(split.validation)
    with pytest.raises(InputError, match="which"):
        count_leakage(split, LABELS.shape, 5, which="train")


def test_a_negative_seed_is_named():
    with pytest.raises(InputError, match="`seed`=-1"):
        random_split(LABELS, -1, train_fraction=0.3)
