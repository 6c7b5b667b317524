import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsi_jax.data import class_counts
from hsi_jax.data.splits.guard import FAR_FRACTION, guard_splits
from hsi_jax.errors import InputError

GUARDS = (0, 1, 3)


def scene(seed):
    """Fields of four classes, two of each, with unlabelled pixels between some of them."""
    rng = np.random.default_rng(seed)
    fields = np.kron(np.array([[0, 1, 2, 3], [2, 3, 0, 1]]), np.ones((14, 12), int))
    return np.where(rng.random(fields.shape) < 0.2, -1, fields)


def distances(labels, train, test):
    """Chebyshev distance of each test pixel to the nearest training pixel, by brute force."""
    at = [np.stack(np.unravel_index(ids, labels.shape), 1) for ids in (test, train)]
    return np.abs(at[0][:, None] - at[1][None]).max(-1).min(1)


@settings(max_examples=20)
@given(seed=st.integers(0, 100), block_size=st.integers(1, 4))
def test_only_the_distance_of_the_training_pixels_changes(seed, block_size):
    labels = scene(seed)
    amounts = {"test_fraction": 0.1, "train_fraction": 0.1}
    splits = guard_splits(labels, seed, guards=GUARDS, block_size=block_size, **amounts)
    first = splits[0]
    counts = class_counts(first.train, labels, 4)
    sizes = class_counts(np.flatnonzero(labels >= 0), labels, 4)
    np.testing.assert_array_equal(counts, np.round(0.1 * sizes))
    for guard, split in splits.items():
        np.testing.assert_array_equal(split.test, first.test)
        np.testing.assert_array_equal(class_counts(split.train, labels, 4), counts)
        assert (labels.ravel()[split.train] >= 0).all()
        assert distances(labels, split.train, split.test).min() > guard
    far = np.flatnonzero(labels >= 0)
    far = far[distances(labels, first.test, far) > max(GUARDS)]
    assert (class_counts(far, labels, 4) >= FAR_FRACTION * sizes).all()


def test_a_pixel_that_is_far_enough_keeps_its_place():
    labels = scene(0)
    amounts = {"test_fraction": 0.1, "train_fraction": 0.1}
    near, far = guard_splits(labels, 3, guards=(0, 4), block_size=3, **amounts).values()
    distant = near.train[distances(labels, near.test, near.train) > 4]
    assert 0 < len(distant) < len(near.train)
    assert np.isin(distant, far.train).all()


def test_test_pixels_are_whole_blocks_without_what_is_unlabelled():
    labels = scene(1)
    amounts = {"test_fraction": 0.05, "train_fraction": 0.1}
    split = guard_splits(labels, 0, guards=(2,), block_size=4, **amounts)[2]
    mask = np.zeros(labels.size, bool)
    mask[split.test] = True
    blocks = mask.reshape(7, 4, 12, 4).swapaxes(1, 2).reshape(-1, 16)
    labelled = (labels >= 0).reshape(7, 4, 12, 4).swapaxes(1, 2).reshape(-1, 16)
    chosen = blocks.any(1)
    assert chosen.sum() > 2
    np.testing.assert_array_equal(blocks[chosen], labelled[chosen])


def test_a_class_in_one_small_place_trains_but_does_not_test():
    labels = scene(2)
    labels[:2, :2] = 4
    amounts = {"test_fraction": 0.1, "train_fraction": 0.25}
    split = guard_splits(labels, 0, guards=(0, 3), block_size=2, **amounts)[0]
    assert (class_counts(split.train, labels, 5)[4], class_counts(split.test, labels, 5)[4]) == (
        1,
        0,
    )
    assert any("class 4 has no test pixels" in remark for remark in split.remarks)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"guards": (-1,)}, "guards"),
        ({"guards": ()}, "guards"),
        ({"guards": (40,)}, "smaller guards"),
        ({"block_size": 0}, "block_size"),
        ({"test_fraction": 1.0}, "test_fraction"),
        ({"train_fraction": None, "train_per_class": 10_000}, "train_per_class"),
    ],
)
def test_what_cannot_be_divided_is_refused(given, word):
    usual = {"guards": (0,), "block_size": 3, "test_fraction": 0.1, "train_fraction": 0.1}
    with pytest.raises(InputError, match=word):
        guard_splits(scene(0), 0, **(usual | given))
