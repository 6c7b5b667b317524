"""A split by polygons: none of them lies on both sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.splits.polygons import polygon_split
from hsi_jax.errors import InputError


def stripes(sizes):
    """Labels and polygons of one row; `sizes` are the pixels of the polygons of each class."""
    labels, polygons, number = [-1], [-1], 0
    for k, class_sizes in enumerate(sizes):
        for size in class_sizes:
            labels += [k] * size
            polygons += [number] * size
            number += 1
    return np.array([labels], np.int32), np.array([polygons], np.int32)


sizes = st.lists(
    st.lists(st.integers(1, 12), min_size=1, max_size=6), min_size=2, max_size=4
).filter(lambda classes: any(len(polygons) > 1 for polygons in classes))


@given(sizes, st.floats(0.01, 0.99), st.integers(0, 5))
def test_polygons_stay_whole(check_sets, sizes, fraction, seed):
    labels, polygons = stripes(sizes)
    split = polygon_split(labels, polygons, seed, train_fraction=fraction)
    check_sets(split, labels)
    train, test = (np.unique(polygons.ravel()[ids]) for ids in (split.train, split.test))
    assert not np.intersect1d(train, test).size
    # No pixel of a polygon is left out.
    assert len(split.train) + len(split.test) == (labels >= 0).sum()
    for k, class_sizes in enumerate(sizes):
        trained = (labels.ravel()[split.train] == k).sum()
        assert trained > 0
        assert (trained < sum(class_sizes)) == (len(class_sizes) > 1)
        target = max(1, min(round(fraction * sum(class_sizes)), sum(class_sizes) - 1))
        if len(class_sizes) > 1:
            # Not more polygons than needed.
            assert trained < target + max(class_sizes)
    again = polygon_split(labels, polygons, seed, train_fraction=fraction)
    np.testing.assert_array_equal(split.train, again.train)


@given(sizes, st.integers(1, 15), st.integers(0, 5))
def test_a_number_of_pixels_is_kept_to(check_sets, sizes, per_class, seed):
    labels, polygons = stripes(sizes)
    split = polygon_split(labels, polygons, seed, train_per_class=per_class)
    check_sets(split, labels)
    train, test = (np.unique(polygons.ravel()[ids]) for ids in (split.train, split.test))
    assert not np.intersect1d(train, test).size
    assert np.bincount(labels.ravel()[split.train]).max() <= per_class
    assert (np.bincount(labels.ravel()[split.train], minlength=len(sizes)) > 0).all()


def test_the_number_of_pixels_is_near_the_fraction():
    labels, polygons = stripes([[10] * 10, [10] * 10])
    split = polygon_split(labels, polygons, 0, train_fraction=0.3)
    assert np.bincount(labels.ravel()[split.train]).tolist() == [30, 30]


def test_another_seed_gives_another_split():
    labels, polygons = stripes([[10] * 10, [10] * 10])
    splits = {
        tuple(polygon_split(labels, polygons, seed, train_fraction=0.3).train) for seed in range(9)
    }
    assert len(splits) > 5


def test_a_class_of_one_polygon_trains_and_it_is_said():
    labels, polygons = stripes([[5], [4, 6]])
    split = polygon_split(labels, polygons, 0, train_fraction=0.5, class_names=("corn", "soy"))
    assert (labels.ravel()[split.test] == 1).all()
    assert any("corn" in remark and "one polygon" in remark for remark in split.remarks)


def test_without_test_pixels_there_is_no_split():
    labels, polygons = stripes([[5], [4]])
    with pytest.raises(InputError, match="one polygon"):
        polygon_split(labels, polygons, 0, train_fraction=0.5)


def test_polygons_must_fit_the_labels():
    labels, polygons = stripes([[5, 5], [4, 4]])
    with pytest.raises(InputError, match="shape"):
        polygon_split(labels, polygons[:, 1:], 0, train_fraction=0.5)
    with pytest.raises(InputError, match="shape"):
        polygon_split(labels, polygons.astype(float), 0, train_fraction=0.5)
    with pytest.raises(InputError, match="no polygon"):
        polygon_split(labels, np.where(polygons == 1, -1, polygons), 0, train_fraction=0.5)
    with pytest.raises(InputError, match="several classes"):
        polygon_split(labels, np.where(polygons == 2, 1, polygons), 0, train_fraction=0.5)
    for amount in ({}, {"train_fraction": 0.5, "train_per_class": 2}, {"train_fraction": 1.0}):
        with pytest.raises(InputError, match="train_fraction"):
            polygon_split(labels, polygons, 0, **amount)
