import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax.data import sampler
from hsi_jax.data.sampler import batch_ids, steps_for_epochs
from hsi_jax.errors import InputError

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**31 - 1)


def stream(train_ids, batch_size, seed, length):
    steps = range(-(-length // batch_size))
    return np.concatenate([batch_ids(train_ids, batch_size, seed, s) for s in steps])[:length]


@given(num_train=sizes, batch_size=sizes, epochs=st.integers(1, 4), seed=seeds)
def test_every_epoch_of_the_stream_holds_every_sample_once(num_train, batch_size, epochs, seed):
    train_ids = np.arange(num_train, dtype=np.int32) * 3 + 5
    seen = stream(train_ids, batch_size, seed, epochs * num_train).reshape(epochs, num_train)
    for epoch in seen:
        np.testing.assert_array_equal(np.sort(epoch), train_ids)


@given(num_train=sizes, sizes_=st.tuples(sizes, sizes), seed=seeds)
def test_the_stream_does_not_depend_on_the_batch_size(num_train, sizes_, seed):
    one, other = (stream(np.arange(num_train), size, seed, 2 * num_train) for size in sizes_)
    np.testing.assert_array_equal(one, other)


@given(num_train=sizes, batch_size=sizes, seed=seeds, step=st.integers(0, 10**9))
def test_every_batch_is_full(num_train, batch_size, seed, step):
    batch = batch_ids(np.arange(num_train), batch_size, seed, step)
    assert batch.shape == (batch_size,)
    assert batch.dtype == np.int32


def test_a_step_does_not_depend_on_the_steps_before_it():
    train_ids = np.arange(10)
    forward = [batch_ids(train_ids, 4, 1, step) for step in range(50)]
    backward = [batch_ids(train_ids, 4, 1, step) for step in reversed(range(50))][::-1]
    np.testing.assert_array_equal(forward, backward)


def test_changing_a_batch_does_not_change_the_next():
    first = batch_ids(np.arange(10), 10, 0, 0)
    expected = first.copy()
    first[:] = -1
    np.testing.assert_array_equal(batch_ids(np.arange(10), 10, 0, 0), expected)


class Counting:
    """A permutation that counts what is taken of it."""

    def __init__(self, order):
        self.order, self.taken = order, 0

    def __getitem__(self, places):
        part = self.order[places]
        self.taken += len(part)
        return part


@pytest.mark.parametrize("num_train", [100, 10_000])
def test_a_step_takes_no_more_of_an_order_than_its_batch(monkeypatch, num_train):
    orders = {}

    def permutation(num_train, seed, epoch):
        return orders.setdefault(epoch, Counting(np.arange(num_train)))

    monkeypatch.setattr(sampler, "_permutation", permutation)
    train_ids = np.arange(num_train, dtype=np.int32)
    for step in range(25):
        batch_ids(train_ids, 24, 0, step)
    assert sum(order.taken for order in orders.values()) == 25 * 24
    assert set(orders) == set(range(-(-25 * 24 // num_train)))


def test_an_order_is_drawn_once_an_epoch(monkeypatch):
    drawn = []
    generator = np.random.Generator

    def counted(bits):
        drawn.append(bits)
        return generator(bits)

    sampler._permutation.cache_clear()
    monkeypatch.setattr(sampler.np.random, "Generator", counted)
    for step in range(50):
        batch_ids(np.arange(100), 8, 0, step)
    assert len(drawn) == 4


def test_epochs_and_seeds_differ():
    train_ids = np.arange(100)
    epochs = [batch_ids(train_ids, 100, 0, step) for step in range(3)]
    other_seed = batch_ids(train_ids, 100, 1, 0)
    orders = {tuple(order) for order in [*epochs, other_seed]}
    assert len(orders) == 4


@pytest.mark.parametrize(
    ("num_train", "batch_size", "epochs", "steps"),
    [(9, 10, 1, 1), (10, 10, 1, 1), (11, 10, 1, 2), (11, 10, 10, 11), (5, 1, 3, 15), (3, 8, 2, 1)],
)
def test_steps_for_epochs(num_train, batch_size, epochs, steps):
    assert steps_for_epochs(num_train, batch_size, epochs) == steps


def test_impossible_sizes_are_refused():
    with pytest.raises(InputError, match="training samples"):
        batch_ids(np.empty(0, np.int32), 4, 0, 0)
    with pytest.raises(InputError, match="batch_size"):
        batch_ids(np.arange(3), 0, 0, 0)
    with pytest.raises(InputError, match="batch_size"):
        steps_for_epochs(3, 0, 1)


@pytest.mark.parametrize("name", ["seed", "step"])
def test_negative_numbers_are_named(name):
    given = {"seed": 0, "step": 0} | {name: -1}
    with pytest.raises(InputError, match=f"`{name}`=-1"):
        batch_ids(np.arange(9), 4, **given)
