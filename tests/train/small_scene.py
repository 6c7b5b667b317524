"""Sizes of the small scene of these tests, and what several of them do with it."""

import jax
import numpy as np

from hsi_jax.hetero import Plan, deal
from hsi_jax.train import Replicas, TrainState
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import train_step

ROWS, COLUMNS, BANDS, CLASSES = 12, 13, 16, 5


def one_step(replicas: Replicas, state: TrainState, ids: np.ndarray, plan: Plan):
    ready = replicas.ready(deal(np.asarray(ids, np.int32), plan))
    step = replicas.pmap(train_step)
    live, loss = step(replicas.replicate(state), *ready)
    return fetch(live), float(fetch(loss))


def assert_same_bits(one, other) -> None:
    one, other = jax.tree.leaves(one), jax.tree.leaves(other)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.array_equal(a, b)
