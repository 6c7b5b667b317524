from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.scene.scene_file import load_scene
from hsi_jax.data.splits.disjoint import disjoint_split
from hsi_jax.data.splits.distance import count_leakage
from hsi_jax.data.splits.file_split import file_split
from hsi_jax.data.splits.split import class_counts, random_split
from hsi_jax.data.splits.validation import hold_out
from hsi_jax.errors import InputError

NAMES = ("Corn", "Oats", "Woods")
seeds = st.integers(0, 2**31 - 1)


def labels_with(counts, columns=10):
    """A map with the given number of pixels in each class, scattered, and some unlabelled."""
    flat = np.repeat([-1, *range(len(counts))], [7, *counts])
    flat = np.pad(flat, (0, -len(flat) % columns), constant_values=-1)
    return np.random.default_rng(0).permutation(flat).reshape(-1, columns).astype(np.int32)


class TestRandomSplit:
    @given(
        counts=st.lists(st.integers(2, 60), min_size=1, max_size=5),
        fraction=st.floats(0.001, 0.999),
        seed=seeds,
    )
    def test_fraction_is_stratified_and_complete(self, check_sets, counts, fraction, seed):
        labels = labels_with(counts)
        split = random_split(labels, seed, train_fraction=fraction)
        check_sets(split, labels)
        trained = class_counts(split.train, labels, len(counts))
        assert trained.tolist() == [min(max(round(fraction * n), 1), n - 1) for n in counts]
        assert len(split.train) + len(split.test) == sum(counts)
        assert split.validation.size == 0
        assert split.remarks == ()

    @given(per_class=st.integers(1, 9), seed=seeds)
    def test_per_class_is_exact(self, check_sets, per_class, seed):
        labels = labels_with([10, 11, 40])
        split = random_split(labels, seed, train_per_class=per_class)
        check_sets(split, labels)
        assert class_counts(split.train, labels, 3).tolist() == [per_class] * 3
        assert len(split.train) + len(split.test) == 61

    @pytest.mark.parametrize(("count", "fits"), [(9, False), (10, False), (11, True)])
    def test_a_class_of_no_more_pixels_than_wanted(self, count, fits):
        labels = labels_with([30, count, 30])
        if fits:
            split = random_split(labels, 0, train_per_class=10)
            assert class_counts(split.test, labels, 3)[1] == 1
            return
        with pytest.raises(InputError, match=rf"train_per_class.*10.*Oats.*{count}"):
            random_split(labels, 0, train_per_class=10, class_names=NAMES)

    def test_all_small_classes_are_listed(self):
        with pytest.raises(InputError, match=r"Corn\D*5\D.*Oats\D*9\D"):
            random_split(labels_with([5, 9, 30]), 0, train_per_class=10, class_names=NAMES)

    def test_small_classes_can_train_with_half(self, check_sets):
        labels = labels_with([30, 9, 2])
        split = random_split(labels, 0, train_per_class=10, small_classes="half", class_names=NAMES)
        check_sets(split, labels)
        assert class_counts(split.train, labels, 3).tolist() == [10, 4, 1]
        assert class_counts(split.test, labels, 3).tolist() == [20, 5, 1]
        assert len(split.remarks) == 2
        assert "Oats" in split.remarks[0]
        assert "9 labelled" in split.remarks[0]

    @pytest.mark.parametrize("rule", [{"train_fraction": 0.1}, {"train_per_class": 1}])
    def test_a_class_of_one_pixel_is_refused(self, rule):
        with pytest.raises(InputError, match=r"Oats\D*1\D"):
            random_split(labels_with([5, 1, 5]), 0, **rule, class_names=NAMES)

    def test_the_seed_decides(self):
        labels = labels_with([50, 50])
        one, same, other = (random_split(labels, seed, train_fraction=0.5) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one.train, same.train)
        assert np.any(one.train != other.train)

    def test_every_pixel_can_be_drawn(self):
        labels = labels_with([6, 6])
        drawn = {
            i for seed in range(60) for i in random_split(labels, seed, train_per_class=1).train
        }
        assert drawn == set(np.flatnonzero(labels.ravel() >= 0))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "exactly one"),
        ({"train_fraction": 0.1, "train_per_class": 3}, "exactly one"),
        ({"train_fraction": 0.0}, "train_fraction.*0.0"),
        ({"train_fraction": 1.0}, "train_fraction.*1.0"),
        ({"train_fraction": float("nan")}, "train_fraction.*nan"),
        ({"train_per_class": 0}, "train_per_class.*0"),
    ],
)
def test_rules_that_are_not_possible_are_refused(rule, message):
    with pytest.raises(InputError, match=message):
        random_split(labels_with([9, 9]), 0, **rule)
    with pytest.raises(InputError, match=message):
        disjoint_split(labels_with([9, 9]), 0, guard=0, block_size=2, **rule)


def test_an_unknown_rule_for_small_classes_is_refused():
    with pytest.raises(InputError, match=r"small_classes.*drop"):
        random_split(labels_with([9, 9]), 0, train_per_class=3, small_classes="drop")


class TestFileSplit:
    LABELS = np.array([[0, 0, -1, 1], [1, 1, 0, 2]], np.int32)
    TRAIN = np.array([[1, 0, 0, 1], [0, 0, 0, 0]])
    TEST = np.array([[0, 1, 0, 0], [1, 0, 0, 0]])

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
    @pytest.mark.parametrize("suffix", ["npz", "mat"])
    def test_reads_maps_of_any_whole_numbers(self, check_sets, tmp_path, dtype, suffix):
        maps: dict[str, Any] = {
            "train": (3 * self.TRAIN).astype(dtype),
            "test": self.TEST.astype(dtype),
        }
        path = tmp_path / f"split.{suffix}"
        if suffix == "npz":
            np.savez(path, **maps)
        else:
            scipy.io.savemat(path, maps)
        split = file_split(path, self.LABELS, NAMES)
        check_sets(split, self.LABELS)
        assert split.train.tolist() == [0, 3]
        assert split.test.tolist() == [1, 4]
        assert split.remarks == (
            "3 of 7 labelled pixels are in no set.",
            "class 2 (Woods) has no training pixels.",
            "class 2 (Woods) has no test pixels.",
        )

    def test_a_validation_map_is_used(self, check_sets, tmp_path):
        validation = np.zeros_like(self.TRAIN)
        unused = (self.LABELS >= 0) & ~self.TRAIN.astype(bool) & ~self.TEST.astype(bool)
        validation.flat[np.flatnonzero(unused)[:2]] = 1
        maps = {"train": self.TRAIN, "test": self.TEST, "validation": validation}
        np.savez(tmp_path / "split.npz", **maps)
        split = file_split(tmp_path / "split.npz", self.LABELS)
        check_sets(split, self.LABELS)
        assert split.validation.tolist() == np.flatnonzero(validation).tolist()
        assert "1 of 7 labelled pixels are in no set." in split.remarks
        np.savez(tmp_path / "split.npz", **maps | {"validation": self.TEST})
        with pytest.raises(InputError, match="`test` and `validation`"):
            file_split(tmp_path / "split.npz", self.LABELS)

    @pytest.mark.parametrize(
        ("maps", "message"),
        [
            ({"train": TRAIN}, "'test'"),
            ({"train": TRAIN.T, "test": TEST}, r"train.*\(4, 2\)"),
            ({"train": TRAIN + TEST, "test": TEST}, "2 pixel.*train.*test"),
            ({"train": TRAIN, "test": TEST + (LABELS < 0)}, "test.* 1 pixel"),
            ({"train": TRAIN, "test": 0 * TEST}, "test.*empty"),
            ({"train": 0.5 * TRAIN, "test": TEST}, "train.*whole numbers"),
            ({"train": np.where(TRAIN, np.nan, 0), "test": TEST}, "train.*whole numbers"),
        ],
    )
    def test_what_is_not_a_split_is_refused(self, tmp_path, maps, message):
        np.savez(tmp_path / "split.npz", **maps)
        with pytest.raises(InputError, match=message):
            file_split(tmp_path / "split.npz", self.LABELS)

    def test_dase_split_of_indian_pines(self, check_sets, real_data):
        labels = load_scene("indian_pines", real_data).require_labels()
        path = real_data / "indian_pines_labelled_only" / "dase_disjoint_split.npz"
        split = file_split(path, labels)
        check_sets(split, labels)
        assert (len(split.train), len(split.test)) == (5528, 4711)
        assert class_counts(split.test, labels, 16)[6] == 2
        assert round(100 * count_leakage(split, labels.shape, 11) / len(split.test)) == 83
        assert count_leakage(split, labels.shape, 1) == 0


class TestHoldOut:
    @given(
        counts=st.lists(st.integers(2, 60), min_size=1, max_size=4),
        percent=st.integers(0, 99),
        seed=seeds,
    )
    def test_takes_the_floor_of_each_class_from_the_training_pixels(
        self, check_sets, counts, percent, seed
    ):
        labels = labels_with(counts)
        before = random_split(labels, 0, train_fraction=0.7)
        after = hold_out(before, labels, percent / 100, seed)
        check_sets(after, labels)
        trained = class_counts(before.train, labels, len(counts))
        held = class_counts(after.validation, labels, len(counts))
        assert held.tolist() == [percent * n // 100 for n in trained.tolist()]
        assert np.all(class_counts(after.train, labels, len(counts)) > 0)
        union = np.union1d(after.train, after.validation)
        np.testing.assert_array_equal(union, before.train)
        np.testing.assert_array_equal(after.test, before.test)

    def test_the_floor_is_that_of_the_decimal_number(self):
        labels = labels_with([200])
        split = random_split(labels, 0, train_fraction=0.5)
        assert len(hold_out(split, labels, 0.29, 0).validation) == 29  # 0.29 * 100 < 29 in binary

    def test_zero_changes_nothing_and_more_is_remarked(self):
        labels = labels_with([20, 20])
        split = random_split(labels, 0, train_fraction=0.5)
        assert hold_out(split, labels, 0, 0) is split
        assert hold_out(split, labels, 0.1, 0).remarks == (
            "2 of 20 training samples are held out to validate.",
        )

    @pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
    def test_fractions_out_of_range_are_refused(self, fraction):
        labels = labels_with([20, 20])
        split = random_split(labels, 0, train_fraction=0.5)
        with pytest.raises(InputError, match=f"validation_fraction.*{fraction}"):
            hold_out(split, labels, fraction, 0)

    def test_holding_out_twice_is_refused(self):
        labels = labels_with([20, 20])
        split = hold_out(random_split(labels, 0, train_fraction=0.5), labels, 0.5, 0)
        with pytest.raises(InputError, match="10 validation samples"):
            hold_out(split, labels, 0.5, 0)


def test_class_counts():
    labels = np.array([[0, 1, -1], [1, 3, 3]])
    assert class_counts(np.array([0, 1, 3, 4, 5]), labels, 5).tolist() == [1, 2, 0, 2, 0]
    assert class_counts(np.empty(0, np.int32), labels, 2).tolist() == [0, 0]
