"""Splits by name, and one from outside."""

import numpy as np
import pytest

from hsi_jax.data.splits.disjoint import disjoint_split
from hsi_jax.data.splits.split import random_split
from hsi_jax.data.splits.table import SPLITS, SplitRequest, find_split
from hsi_jax.errors import InputError

LABELS = np.kron(np.arange(16).reshape(4, 4) % 3, np.ones((5, 5), int)).astype(np.int32)


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("train", "test")
    )


def test_names_give_their_splits(tmp_path):
    request = SplitRequest(labels=LABELS, seed=3, train_fraction=0.2, guard=1, block_size=4)
    assert same(SPLITS["random"](request), random_split(LABELS, 3, train_fraction=0.2))
    blocks = disjoint_split(LABELS, 3, guard=1, block_size=4, train_fraction=0.2)
    assert same(SPLITS["disjoint"](request), blocks)
    np.savez(tmp_path / "it.npz", train=LABELS == 0, test=LABELS > 0)
    found = SPLITS["file"](SplitRequest(labels=LABELS, path=tmp_path / "it.npz"))
    assert found.train.tolist() == np.flatnonzero(LABELS == 0).tolist()
    with pytest.raises(InputError, match="polygons"):
        SPLITS["polygons"](request)


def test_a_split_is_found_by_its_name_its_file_or_its_module(tmp_path):
    assert find_split("random") is SPLITS["random"]
    (tmp_path / "it.npz").touch()
    assert find_split("it.npz", str(tmp_path / "it.npz")) is SPLITS["file"]
    assert find_split("hsi_jax.data.splits.table:find_split") is find_split
    with pytest.raises(InputError, match="did you mean disjoint"):
        find_split("disjont")
