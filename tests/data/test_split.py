import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from hsi_jax.data.scene_file import load_scene
from hsi_jax.data.split import (
    Split,
    class_counts,
    count_leakage,
    disjoint_split,
    file_split,
    hold_out,
    random_split,
)
from hsi_jax.errors import InputError

NAMES = ("Corn", "Oats", "Woods")
seeds = st.integers(0, 2**31 - 1)


def labels_with(counts, columns=10):
    """A map with the given number of pixels in each class, scattered, and some unlabelled."""
    flat = np.repeat([-1, *range(len(counts))], [7, *counts])
    flat = np.pad(flat, (0, -len(flat) % columns), constant_values=-1)
    return np.random.default_rng(0).permutation(flat).reshape(-1, columns).astype(np.int32)


def fields(rows, columns, num_classes, seed):
    """A map of square fields of 3 x 3 pixels, some unlabelled, every class present."""
    coarse = np.random.default_rng(seed).integers(
        -1, num_classes, (-(-rows // 3), -(-columns // 3))
    )
    coarse.flat[:num_classes] = range(num_classes)
    return np.kron(coarse, np.ones((3, 3), int))[:rows, :columns].astype(np.int32)


def check_sets(split, labels):
    """Properties of every split: sorted int32 ids of labelled pixels, no pixel in two sets."""
    sets = (split.train, split.validation, split.test)
    for ids in sets:
        assert ids.dtype == np.int32
        assert np.all(np.diff(ids) > 0)
    everything = np.concatenate(sets)
    assert len(np.unique(everything)) == len(everything)
    assert np.all(labels.ravel()[everything] >= 0)


class TestRandomSplit:
    @given(
        counts=st.lists(st.integers(2, 60), min_size=1, max_size=5),
        fraction=st.floats(0.001, 0.999),
        seed=seeds,
    )
    def test_fraction_is_stratified_and_complete(self, counts, fraction, seed):
        labels = labels_with(counts)
        split = random_split(labels, seed, fraction=fraction)
        check_sets(split, labels)
        trained = class_counts(split.train, labels, len(counts))
        assert trained.tolist() == [min(max(round(fraction * n), 1), n - 1) for n in counts]
        assert len(split.train) + len(split.test) == sum(counts)
        assert split.validation.size == 0
        assert split.remarks == ()

    @given(per_class=st.integers(1, 9), seed=seeds)
    def test_per_class_is_exact(self, per_class, seed):
        labels = labels_with([10, 11, 40])
        split = random_split(labels, seed, per_class=per_class)
        check_sets(split, labels)
        assert class_counts(split.train, labels, 3).tolist() == [per_class] * 3
        assert len(split.train) + len(split.test) == 61

    @pytest.mark.parametrize(("count", "fits"), [(9, False), (10, False), (11, True)])
    def test_a_class_of_no_more_pixels_than_wanted(self, count, fits):
        labels = labels_with([30, count, 30])
        if fits:
            split = random_split(labels, 0, per_class=10)
            assert class_counts(split.test, labels, 3)[1] == 1
            return
        with pytest.raises(InputError, match=rf"10 training .* class 1 \(Oats\) with {count}"):
            random_split(labels, 0, per_class=10, class_names=NAMES)

    def test_all_small_classes_are_listed(self):
        with pytest.raises(InputError, match=r"Corn\) with 5, class 1 \(Oats\) with 9"):
            random_split(labels_with([5, 9, 30]), 0, per_class=10, class_names=NAMES)

    def test_small_classes_can_train_with_half(self):
        labels = labels_with([30, 9, 2])
        split = random_split(labels, 0, per_class=10, small_classes="half", class_names=NAMES)
        check_sets(split, labels)
        assert class_counts(split.train, labels, 3).tolist() == [10, 4, 1]
        assert class_counts(split.test, labels, 3).tolist() == [20, 5, 1]
        assert len(split.remarks) == 2
        assert "Oats" in split.remarks[0]
        assert "9 labelled" in split.remarks[0]

    @pytest.mark.parametrize("rule", [{"fraction": 0.1}, {"per_class": 1}])
    def test_a_class_of_one_pixel_is_refused(self, rule):
        with pytest.raises(InputError, match=r"class 1 \(Oats\) with 1: .* at least 2"):
            random_split(labels_with([5, 1, 5]), 0, **rule, class_names=NAMES)

    def test_the_seed_decides(self):
        labels = labels_with([50, 50])
        one, same, other = (random_split(labels, seed, fraction=0.5) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one.train, same.train)
        assert np.any(one.train != other.train)

    def test_every_pixel_can_be_drawn(self):
        labels = labels_with([6, 6])
        drawn = {i for seed in range(60) for i in random_split(labels, seed, per_class=1).train}
        assert drawn == set(np.flatnonzero(labels.ravel() >= 0))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "exactly one"),
        ({"fraction": 0.1, "per_class": 3}, "exactly one"),
        ({"fraction": 0.0}, "fraction of 0.0"),
        ({"fraction": 1.0}, "fraction of 1.0"),
        ({"fraction": float("nan")}, "fraction of nan"),
        ({"per_class": 0}, "0 training samples per class"),
    ],
)
def test_rules_that_are_not_possible_are_refused(rule, message):
    with pytest.raises(InputError, match=message):
        random_split(labels_with([9, 9]), 0, **rule)
    with pytest.raises(InputError, match=message):
        disjoint_split(labels_with([9, 9]), 0, guard=0, block_size=2, **rule)


def test_an_unknown_rule_for_small_classes_is_refused():
    with pytest.raises(InputError, match="'drop'"):
        random_split(labels_with([9, 9]), 0, per_class=3, small_classes="drop")


def chebyshev(one, other, columns):
    """Distances between flat ids, [len(one), len(other)]."""
    return cdist(
        np.stack(np.divmod(one, columns), 1), np.stack(np.divmod(other, columns), 1), "chebyshev"
    )


class TestDisjointSplit:
    @given(
        rows=st.integers(12, 30),
        columns=st.integers(12, 30),
        guard=st.integers(0, 3),
        block_size=st.integers(1, 5),
        per_class=st.none() | st.integers(1, 12),
        seed=st.integers(0, 1000),
    )
    @settings(suppress_health_check=[HealthCheck.filter_too_much])
    def test_blocks_guard_and_targets(self, rows, columns, guard, block_size, per_class, seed):
        labels = fields(rows, columns, 3, seed)
        counts = class_counts(np.flatnonzero(labels.ravel() >= 0), labels, 3)
        wanted = np.maximum(1, [round(0.1 * n) for n in counts]) if per_class is None else per_class
        rule = {"fraction": 0.1} if per_class is None else {"per_class": per_class}
        # Where the windows of the training pixels might cover the scene, there may be no split.
        assume(np.broadcast_to(wanted, 3).sum() * (2 * guard + 1) ** 2 < counts.sum() / 2)
        split = disjoint_split(labels, seed, guard, block_size, **rule)
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
    def test_no_class_in_two_blocks_loses_its_last_one(self, seed, block_size):
        labels = fields(12, 12, 3, seed % 50)
        split = disjoint_split(labels, seed, 0, block_size, per_class=1000)
        tested = class_counts(split.test, labels, 3)
        row, column = np.indices(labels.shape) // block_size
        for k in range(3):
            blocks = np.unique((row * 100 + column)[labels == k])
            assert tested[k] > 0 or len(blocks) == 1

    def test_every_test_pixel_that_may_be_kept_is_kept(self):
        labels = fields(24, 24, 2, 3)
        guard, block_size = 2, 6
        split = disjoint_split(labels, 0, guard, block_size, per_class=5)
        row, column = np.indices(labels.shape) // block_size
        block = (row * 100 + column).ravel()
        labelled = np.flatnonzero(labels.ravel() >= 0)
        far = chebyshev(labelled, split.train, 24).min(axis=1) > guard
        lost = np.setdiff1d(labelled[far], split.test)
        # Only pixels over in blocks that were chosen for training may be missing.
        assert np.all(np.isin(block[lost], block[split.train]))

    def test_a_class_in_one_block_trains_and_is_remarked(self):
        labels = np.full((8, 8), -1, np.int32)
        labels[:, :6] = 0
        labels[6:, 6:] = 1
        split = disjoint_split(labels, 0, 0, 2, per_class=3, class_names=("Corn", "Oats"))
        assert class_counts(split.train, labels, 2).tolist() == [3, 3]
        assert "class 1 (Oats) has no test pixels." in split.remarks
        unused = 52 - len(split.train) - len(split.test)
        assert f"{unused} of 52 labelled pixels are in no set." in split.remarks

    def test_a_shortfall_is_remarked(self):
        labels = np.zeros((4, 8), np.int32)
        labels[:2, :4] = 1
        split = disjoint_split(labels, 0, 0, 2, per_class=6)
        assert class_counts(split.train, labels, 2).tolist() == [6, 4]
        assert "class 1 trains with 4 pixels, not 6." in split.remarks

    def test_a_class_that_cannot_train_is_named(self):
        # Whichever rare class chooses first, the common class cannot give its last block as well.
        labels = np.array([[0, 2, 1, 2], [2, 2, 2, 2]], np.int32)
        with pytest.raises(InputError, match=r"2 x 2 pixels .* class 1 \(Oats\) with 1 labelled"):
            disjoint_split(labels, 0, 0, 2, per_class=1, class_names=NAMES)

    def test_no_test_pixels_is_an_error(self):
        with pytest.raises(InputError, match=r"No test pixels .* guard of 9"):
            disjoint_split(fields(9, 9, 2, 0), 0, guard=9, block_size=3, fraction=0.1)

    @pytest.mark.parametrize(("guard", "block_size"), [(-1, 3), (0, 0)])
    def test_sizes_that_are_not_possible_are_refused(self, guard, block_size):
        with pytest.raises(InputError, match=f"guard of {guard} and a block size of {block_size}"):
            disjoint_split(fields(9, 9, 2, 0), 0, guard, block_size, fraction=0.1)

    def test_the_seed_decides(self):
        labels = fields(30, 30, 3, 1)
        one, same, other = (disjoint_split(labels, s, 1, 3, fraction=0.1) for s in (0, 0, 1))
        np.testing.assert_array_equal(one.train, same.train)
        np.testing.assert_array_equal(one.test, same.test)
        assert set(one.train) != set(other.train)


class TestFileSplit:
    LABELS = np.array([[0, 0, -1, 1], [1, 1, 0, 2]], np.int32)
    TRAIN = np.array([[1, 0, 0, 1], [0, 0, 0, 0]])
    TEST = np.array([[0, 1, 0, 0], [1, 0, 0, 0]])

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
    @pytest.mark.parametrize("suffix", ["npz", "mat"])
    def test_reads_maps_of_any_whole_numbers(self, tmp_path, dtype, suffix):
        maps = {"train": (3 * self.TRAIN).astype(dtype), "test": self.TEST.astype(dtype)}
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

    @pytest.mark.parametrize(
        ("maps", "message"),
        [
            ({"train": TRAIN}, "'test'.* train"),
            ({"train": TRAIN.T, "test": TEST}, r"`train` .* shape \(4, 2\).* \(2, 4\)"),
            ({"train": TRAIN + TEST, "test": TEST}, r"2 pixel\(s\) are in both"),
            ({"train": TRAIN, "test": TEST + (LABELS < 0)}, r"`test` .* 1 pixel\(s\)"),
            ({"train": TRAIN, "test": 0 * TEST}, "`test` .* is empty"),
            ({"train": 0.5 * TRAIN, "test": TEST}, "`train` .* not whole numbers"),
            ({"train": np.where(TRAIN, np.nan, 0), "test": TEST}, "`train` .* not whole numbers"),
        ],
    )
    def test_what_is_not_a_split_is_refused(self, tmp_path, maps, message):
        np.savez(tmp_path / "split.npz", **maps)
        with pytest.raises(InputError, match=message):
            file_split(tmp_path / "split.npz", self.LABELS)

    def test_dase_split_of_indian_pines(self, real_data):
        labels = load_scene("indian_pines", real_data).labels
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
    def test_takes_the_floor_of_each_class_from_the_training_pixels(self, counts, percent, seed):
        labels = labels_with(counts)
        before = random_split(labels, 0, fraction=0.7)
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
        split = random_split(labels, 0, fraction=0.5)
        assert len(hold_out(split, labels, 0.29, 0).validation) == 29  # 0.29 * 100 < 29 in binary

    def test_zero_changes_nothing_and_more_is_remarked(self):
        labels = labels_with([20, 20])
        split = random_split(labels, 0, fraction=0.5)
        assert hold_out(split, labels, 0, 0) is split
        assert hold_out(split, labels, 0.1, 0).remarks == (
            "2 of 20 training samples are held out to validate.",
        )

    @pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
    def test_fractions_out_of_range_are_refused(self, fraction):
        labels = labels_with([20, 20])
        split = random_split(labels, 0, fraction=0.5)
        with pytest.raises(InputError, match=f"validation fraction of {fraction}"):
            hold_out(split, labels, fraction, 0)

    def test_holding_out_twice_is_refused(self):
        labels = labels_with([20, 20])
        split = hold_out(random_split(labels, 0, fraction=0.5), labels, 0.5, 0)
        with pytest.raises(InputError, match="10 validation samples already"):
            hold_out(split, labels, 0.5, 0)


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


def test_class_counts():
    labels = np.array([[0, 1, -1], [1, 3, 3]])
    assert class_counts(np.array([0, 1, 3, 4, 5]), labels, 5).tolist() == [1, 2, 0, 2, 0]
    assert class_counts(np.empty(0, np.int32), labels, 2).tolist() == [0, 0]
