"""Splits by name, and one from outside."""

import numpy as np
import pytest

from hsi_jax.data.splits.disjoint import disjoint_split
from hsi_jax.data.splits.split import Split, random_split
from hsi_jax.data.splits.table import SPLITS, SplitRequest, SplitTable
from hsi_jax.errors import InputError

LABELS = np.kron(np.arange(16).reshape(4, 4) % 3, np.ones((5, 5), int)).astype(np.int32)


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("train", "test")
    )


def test_names_give_their_splits(tmp_path):
    request = SplitRequest(labels=LABELS, seed=3, train_fraction=0.2, guard=1, block_size=4)
    assert same(SPLITS.split("random", request), random_split(LABELS, 3, train_fraction=0.2))
    blocks = disjoint_split(LABELS, 3, guard=1, block_size=4, train_fraction=0.2)
    assert same(SPLITS.split("disjoint", request), blocks)
    np.savez(tmp_path / "it.npz", train=LABELS == 0, test=LABELS > 0)
    found = SPLITS.split("file", SplitRequest(labels=LABELS, path=tmp_path / "it.npz"))
    assert found.train.tolist() == np.flatnonzero(LABELS == 0).tolist()
    with pytest.raises(InputError, match="polygons"):
        SPLITS.split("polygons", request)


def test_an_unknown_name_is_an_error_and_another_split_can_be_added():
    table, request = SplitTable(), SplitRequest(labels=LABELS)
    half = np.arange(LABELS.size, dtype=np.int32)
    table.register("halves", lambda _: Split("halves", half[:50], half[:0], half[50:]))
    assert table.split("halves", request).kind == "halves"
    with pytest.raises(InputError, match="did you mean halves"):
        table.split("halve", request)
    with pytest.raises(InputError, match="halves"):
        table.register("halves", lambda _: None)
    with pytest.raises(InputError, match="random, disjoint, polygons, file"):
        SPLITS.split("quite another", request)
