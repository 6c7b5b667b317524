from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data.balanced_sampler import BalancedSampler
from hsi_jax.errors import InputError

counts = st.lists(st.integers(1, 9), min_size=1, max_size=5)
sizes = st.integers(1, 23)
seeds = st.integers(0, 2**31 - 1)


def sampler_of(counts, seed=0):
    """A sampler of so many training samples of each class, and the classes of all samples."""
    labels = np.random.default_rng(7).permutation(np.repeat(np.arange(len(counts)), counts))
    labels = np.concatenate([labels, labels])  # the second half does not train
    return BalancedSampler(np.arange(len(labels) // 2), labels, seed), labels


def stream(sampler, batch_size, length):
    steps = range(-(-length // batch_size))
    return np.concatenate([sampler.batch_ids(batch_size, s) for s in steps])[:length]


@given(counts=counts, seed=seeds)
def test_each_round_has_every_class_once_and_no_sample_comes_again_too_soon(counts, seed):
    sampler, labels = sampler_of(counts, seed)
    rounds = 3 * max(counts)
    drawn = stream(sampler, 7, rounds * len(counts))
    classes = labels[drawn].reshape(rounds, len(counts))
    assert np.array_equal(np.sort(classes, axis=1), np.tile(np.arange(len(counts)), (rounds, 1)))
    for k, count in enumerate(counts):
        own = drawn[labels[drawn] == k]
        for epoch in np.split(own, np.arange(count, len(own), count)):
            assert len(set(epoch)) == len(epoch)


@given(counts=counts, batch_size=sizes, step=st.integers(0, 10**6), seed=seeds)
def test_a_batch_is_full_and_even(counts, batch_size, step, seed):
    sampler, labels = sampler_of(counts, seed)
    batch = sampler.batch_ids(batch_size, step)
    assert (batch.shape, batch.dtype) == ((batch_size,), np.int32)
    assert batch.max() < len(labels) // 2
    seen = Counter(labels[batch].tolist())
    numbers = [seen[k] for k in range(len(counts))]
    assert max(numbers) - min(numbers) <= 2


@given(counts=counts, sizes_=st.tuples(sizes, sizes), seed=seeds)
def test_the_stream_does_not_depend_on_the_batch_size(counts, sizes_, seed):
    one, other = (stream(sampler_of(counts, seed)[0], size, 20) for size in sizes_)
    assert np.array_equal(one, other)


def test_a_step_does_not_depend_on_the_steps_before_it():
    sampler, _ = sampler_of([3, 50, 8])
    forward = [sampler.batch_ids(5, step) for step in range(60)]
    again = sampler_of([3, 50, 8])[0]
    backward = [again.batch_ids(5, step) for step in reversed(range(60))][::-1]
    assert np.array_equal(forward, backward)


def test_seeds_and_rounds_differ():
    one, other = (stream(sampler_of([40, 40, 40], seed)[0], 12, 120) for seed in (0, 1))
    assert not np.array_equal(one, other)
    labels = sampler_of([40, 40, 40])[1]
    assert len({tuple(labels[part]) for part in one.reshape(40, 3)}) == 6  # every order of three


def test_impossible_values_are_refused():
    with pytest.raises(InputError, match="training samples"):
        BalancedSampler(np.empty(0, np.int32), np.zeros(3, np.int32), 0)
    with pytest.raises(InputError, match="batch_size"):
        sampler_of([2])[0].batch_ids(0, 0)
