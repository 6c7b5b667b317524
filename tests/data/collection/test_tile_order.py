"""The order of training samples: pure, whole, mixed, and kind to who reads tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data import TileOrder
from hsi_jax.errors import InputError


def order_of(counts, batch, mixed=2, seed=0, every=1):
    starts = np.concatenate([[0], np.cumsum(counts)])
    ids = np.arange(starts[-1], dtype=np.int32)[::every]
    return ids, starts, TileOrder(ids, starts, batch_size=batch, mixed_tiles=mixed, seed=seed)


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=9).filter(sum),
    st.integers(1, 40),
    st.integers(1, 4),
)
def test_every_lane_has_each_of_its_samples_once_an_epoch(counts, batch, mixed):
    ids, _, order = order_of(counts, batch, mixed)
    lanes, n = order.lanes, len(ids)
    assert batch % lanes == 0
    assert lanes <= n
    width = batch // lanes
    steps = -(-n // width) + 1
    batches = np.stack([order.batch_ids(step) for step in range(steps)])
    assert batches.shape == (steps, batch)
    assert batches.dtype == np.int32
    first_epoch = []
    for lane in range(lanes):
        length = (lane + 1) * n // lanes - lane * n // lanes
        seen = batches[:, lane * width : (lane + 1) * width].ravel()
        first_epoch.append(seen[:length])
    np.testing.assert_array_equal(np.sort(np.concatenate(first_epoch)), ids)


def test_a_batch_is_a_function_of_seed_and_step_alone():
    one, two = (order_of([40, 7, 0, 60, 33], 16)[2] for _ in range(2))
    steps = np.random.default_rng(0).permutation(60)
    found = {step: one.batch_ids(step) for step in steps.tolist()}
    for step in range(60):
        np.testing.assert_array_equal(two.batch_ids(step), found[step])
    other = order_of([40, 7, 0, 60, 33], 16, seed=1)[2]
    assert any((other.batch_ids(step) != found[step]).any() for step in range(3))


def test_a_lane_reads_few_tiles_at_a_time_and_each_about_once_an_epoch():
    counts, batch, mixed = [100] * 64, 64, 4
    ids, starts, order = order_of(counts, batch, mixed)
    assert order.lanes == 8
    own = [order.batch_ids(step)[:8] for step in range(len(ids) // batch)]
    tiles = [set(np.searchsorted(starts, part, side="right") - 1) for part in own]
    assert len(set.union(*tiles)) == 8  # an eighth of the tiles
    assert all(len(some) <= 2 * mixed for some in tiles)
    mixtures = [len(some) for some in tiles]
    assert np.median(mixtures) >= 3  # and mixed: 8 samples of 4 tiles


def test_epochs_differ_and_samples_left_out_stay_out():
    ids, _, order = order_of([50, 50, 50], 10, every=3)
    epoch = len(ids) // 10
    seen = [np.concatenate([order.batch_ids(e * epoch + s) for s in range(epoch)]) for e in (0, 1)]
    assert set(np.concatenate(seen)) <= set(ids)
    assert (seen[0] != seen[1]).any()


def test_numbers_out_of_range_are_refused():
    starts = np.array([0, 3])
    for ids, mixed, seed in (([], 1, 0), ([0], 0, 0), ([0], 1, -1)):
        with pytest.raises(InputError):
            TileOrder(np.array(ids, int), starts, batch_size=4, mixed_tiles=mixed, seed=seed)
