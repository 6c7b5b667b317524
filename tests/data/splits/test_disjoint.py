from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from hsi_jax.data.splits.disjoint import disjoint_split
from hsi_jax.data.splits.distance import count_leakage
from hsi_jax.data.splits.split import Split, class_counts
from hsi_jax.errors import InputError

NAMES = ("Corn", "Oats", "Woods")
seeds = st.integers(0, 2**31 - 1)


def fields(rows, columns, num_classes, seed):
    """A map of square fields of 3 x 3 pixels, some unlabelled, every class present."""
    coarse = np.random.default_rng(seed).integers(
        -1, num_classes, (-(-rows // 3), -(-columns // 3))
    )
    coarse.flat[:num_classes] = range(num_classes)
    return np.kron(coarse, np.ones((3, 3), int))[:rows, :columns].astype(np.int32)


def chebyshev(one, other, columns):
    """Distances between flat ids, [len(one), len(other)]."""
    return cdist(
        np.stack(np.divmod(one, columns), 1), np.stack(np.divmod(other, columns), 1), "chebyshev"
    )


@given(
    rows=st.integers(12, 30),
    columns=st.integers(12, 30),
    guard=st.integers(0, 3),
    block_size=st.integers(1, 5),
    per_class=st.none() | st.integers(1, 12),
    seed=st.integers(0, 1000),
)
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_blocks_guard_and_targets(check_sets, rows, columns, guard, block_size, per_class, seed):
    labels = fields(rows, columns, 3, seed)
    counts = class_counts(np.flatnonzero(labels.ravel() >= 0), labels, 3)
    wanted = np.maximum(1, [round(0.1 * n) for n in counts]) if per_class is None else per_class
    rule: dict[str, Any] = (
        {"train_fraction": 0.1} if per_class is None else {"train_per_class": per_class}
    )
    # Where the windows of the training pixels might cover the scene, there may be no split.
    assume(np.broadcast_to(wanted, 3).sum() * (2 * guard + 1) ** 2 < counts.sum() / 2)
    split = disjoint_split(labels, seed, guard=guard, block_size=block_size, **rule)
    check_sets(split, labels)
    distances = chebyshev(split.test, split.train, columns)
    assert distances.min() > guard
    assert count_leakage(split, labels.shape, 2 * guard + 1) == 0
    block = np.arange(rows * columns).reshape(rows, columns)
    block = block // columns // block_size * columns + block % columns // block_size
    assert not np.intersect1d(block.flat[split.train], block.flat[split.test]).size
    trained, tested = (class_counts(ids, labels, 3) for ids in (split.train, split.test))
    assert np.all(trained > 0)
    assert np.all(trained <= wanted)
    remarks = " ".join(split.remarks)
    for k in range(3):
        assert (f"class {k} has no test pixels" in remarks) == (tested[k] == 0)
        assert (f"class {k} trains with {trained[k]} pixels" in remarks) == np.any(
            trained[k] < np.broadcast_to(wanted, 3)[k]
        )


@given(seed=seeds, block_size=st.integers(1, 4))
def test_no_class_in_two_blocks_loses_its_last_one(seed, block_size):
    labels = fields(12, 12, 3, seed % 50)
    split = disjoint_split(labels, seed, guard=0, block_size=block_size, train_per_class=1000)
    tested = class_counts(split.test, labels, 3)
    row, column = np.indices(labels.shape) // block_size
    for k in range(3):
        blocks = np.unique((row * 100 + column)[labels == k])
        assert tested[k] > 0 or len(blocks) == 1


def test_every_test_pixel_that_may_be_kept_is_kept():
    labels = fields(24, 24, 2, 3)
    guard, block_size = 2, 6
    split = disjoint_split(labels, 0, guard=guard, block_size=block_size, train_per_class=5)
    row, column = np.indices(labels.shape) // block_size
    block = (row * 100 + column).ravel()
    labelled = np.flatnonzero(labels.ravel() >= 0)
    far = chebyshev(labelled, split.train, 24).min(axis=1) > guard
    lost = np.setdiff1d(labelled[far], split.test)
    # Only pixels over in blocks that were chosen for training may be missing.
    assert np.all(np.isin(block[lost], block[split.train]))


def test_a_class_in_one_block_trains_and_is_remarked():
    labels = np.full((8, 8), -1, np.int32)
    labels[:, :6] = 0
    labels[6:, 6:] = 1
    split = disjoint_split(
        labels, 0, guard=0, block_size=2, train_per_class=3, class_names=("Corn", "Oats")
    )
    assert class_counts(split.train, labels, 2).tolist() == [3, 3]
    assert "class 1 (Oats) has no test pixels." in split.remarks
    unused = 52 - len(split.train) - len(split.test)
    assert f"{unused} of 52 labelled pixels are in no set." in split.remarks


def test_a_shortfall_is_remarked():
    labels = np.zeros((4, 8), np.int32)
    labels[:2, :4] = 1
    split = disjoint_split(labels, 0, guard=0, block_size=2, train_per_class=6)
    assert class_counts(split.train, labels, 2).tolist() == [6, 4]
    assert "class 1 trains with 4 pixels, not 6." in split.remarks


def test_a_class_that_cannot_train_is_named():
    # Whichever rare class chooses first, the common class cannot give its last block as well.
    labels = np.array([[0, 2, 1, 2], [2, 2, 2, 2]], np.int32)
    with pytest.raises(InputError, match=r"block_size.*2.*Oats"):
        disjoint_split(labels, 0, guard=0, block_size=2, train_per_class=1, class_names=NAMES)


def test_no_test_pixels_is_an_error():
    with pytest.raises(InputError, match=r"guard.*9"):
        disjoint_split(fields(9, 9, 2, 0), 0, guard=9, block_size=3, train_fraction=0.1)


@pytest.mark.parametrize(("guard", "block_size"), [(-1, 3), (0, 0)])
def test_sizes_that_are_not_possible_are_refused(guard, block_size):
    with pytest.raises(InputError, match=rf"guard.*{guard}.*block_size.*{block_size}"):
        disjoint_split(
            fields(9, 9, 2, 0), 0, guard=guard, block_size=block_size, train_fraction=0.1
        )


def test_the_seed_decides():
    labels = fields(30, 30, 3, 1)
    one, same, other = (
        disjoint_split(labels, s, guard=1, block_size=3, train_fraction=0.1) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.train, same.train)
    np.testing.assert_array_equal(one.test, same.test)
    assert set(one.train) != set(other.train)


@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    patch_size=st.integers(1, 7),
    seed=seeds,
)
def test_leakage_by_brute_force(rows, columns, patch_size, seed):
    member = np.random.default_rng(seed).choice(4, (rows, columns), p=[0.5, 0.1, 0.1, 0.3])
    ids = [np.flatnonzero(member == k).astype(np.int32) for k in range(4)]
    split = Split("random", train=ids[1], validation=ids[2], test=ids[3])
    expected = 0
    for row, column in np.argwhere(member == 3):
        top, left = row - patch_size // 2, column - patch_size // 2
        window = member[max(top, 0) : top + patch_size, max(left, 0) : left + patch_size]
        expected += bool(np.isin(window, [1, 2]).any())
    assert count_leakage(split, (rows, columns, 99), patch_size) == expected
