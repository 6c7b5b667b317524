"""Streamed samples against resident ones, and one's own loss against closed forms."""

import threading

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn

from hsi_jax.data.sampler import batch_ids
from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.train import (
    Rebalancing,
    Replicas,
    Samples,
    Stream,
    create_loss_state,
    create_state,
)
from hsi_jax.train.feed import Feed
from tests.train.small_scene import Machine, assert_same_bits

pytestmark = pytest.mark.slow

COUNT, SHAPE, CLASSES = 50, (4, 4, 3), 3
IMAGES = np.arange(COUNT * 48, dtype=np.uint8).reshape(COUNT, *SHAPE)  # wraps round at 256
LABELS = (np.arange(COUNT) % CLASSES).astype(np.int32)
TRAIN = np.arange(0, COUNT, 2, dtype=np.int32)


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False, mask=None):
        x = nn.relu(nn.Dense(8)(x.reshape(len(x), -1)))
        return nn.Dense(CLASSES)(nn.Dropout(0.5, deterministic=not train)(x))


def scale_and_flip(images, keys):
    """Flips some of the images in training, by their keys."""
    images = images.astype(np.float32) / 255
    if keys is None:
        return images
    flipped = jax.vmap(jax.random.bernoulli)(keys)
    return jax.numpy.where(flipped[:, None, None, None], images[:, :, ::-1], images)


def read(ids):
    return IMAGES[ids], LABELS[ids]


def machine_of(samples, profile, batch_size=21, microbatch_size=4, scheme="balanced"):
    profile = parse_profile(profile)
    plan = make_plan(scheme, profile, batch_size, microbatch_size)
    return Machine(Replicas(len(profile), samples), profile, plan)


@pytest.fixture(scope="module")
def state():
    return create_state(Network(), optax.adam(0.01), SHAPE, seed=0, prepare=scale_and_flip)


@pytest.fixture(scope="module")
def resident(state):
    machine = machine_of(Samples((IMAGES, LABELS)), "1")
    fitted = machine.fit(state, TRAIN, 5, seed=3)
    return fitted, machine.predict(fitted.state, TRAIN)


@pytest.mark.parametrize("profile", ["1", "2:1:1", "7:1", "0:1"])
def test_streamed_samples_train_and_predict_to_the_bits_of_resident_ones(profile, state, resident):
    machine = machine_of(Stream(read), profile)
    fitted = machine.fit(state, TRAIN, 5, seed=3)
    assert fitted.losses == resident[0].losses
    assert len(fitted.wait_seconds) == 5
    assert_same_bits(fitted.state, resident[0].state)
    assert_same_bits(machine.predict(fitted.state, TRAIN), resident[1])


def test_the_keys_of_samples_matter(state, resident):
    """The invariance above says something about augmentation."""
    steady = state.replace(task=state.task.__class__(Network(), lambda x, _: x / np.float32(255)))
    fitted = machine_of(Samples((IMAGES, LABELS)), "1").fit(steady, TRAIN, 5, seed=3)
    assert fitted.losses != resident[0].losses


class Alternating:
    """Stands for a controller that moves all work to and fro."""

    settled = True

    def __init__(self):
        self.calls = 0

    def observe(self, shares, seconds):
        self.calls += 1
        return make_plan("adaptive", parse_profile("0:1" if self.calls % 2 else "1:0"), 21, 4)


def test_what_was_read_for_other_shares_is_read_again(state, resident):
    machine = machine_of(Stream(read), "1:1", scheme="adaptive")
    rebalancing = Rebalancing(Alternating(), every=1)
    fitted = machine.fit(state, TRAIN, 5, seed=3, rebalancing=rebalancing)
    assert fitted.losses == resident[0].losses
    assert_same_bits(fitted.state, resident[0].state)


def test_each_device_is_sent_its_own_samples_and_zeros():
    machine = machine_of(Stream(read), "3:1:0", batch_size=13)
    plan = machine.plan
    assert plan.shares == (3, 1, 0)
    asked = batch_ids(TRAIN, 13, 0, 0)
    rows, _ = machine.replicas.ready(deal(asked, plan))
    images, labels = (np.asarray(array) for array in rows.arrays)
    assert images.shape == (3, 4, 4, *SHAPE)
    assert images.dtype == np.uint8
    assert np.array_equal(images[0, :3].reshape(12, *SHAPE), IMAGES[asked[:12]])
    assert np.array_equal(images[1, 0, 0], IMAGES[asked[12]])
    assert not images[0, 3:].any()
    assert not images[1, 1:].any()
    assert not images[2].any()
    assert np.array_equal(labels[0, :3].ravel(), LABELS[asked[:12]])


def test_the_feed_reads_ahead_and_not_past_the_end():
    seen, lock = [], threading.Lock()

    def tell(ids):
        with lock:
            seen.extend(ids.tolist())
        return IMAGES[ids], LABELS[ids]

    machine = machine_of(Stream(tell), "1", batch_size=4)
    seen.clear()

    def work_of(step):
        return deal(np.arange(4 * step, 4 * step + 4, dtype=np.int32), machine.plan)

    with Feed(machine.replicas, work_of, 4) as feed:
        for step in range(4):
            rows, _ = feed.take(step)
            images = np.asarray(rows.arrays[0])
            assert np.array_equal(images[0, 0], IMAGES[4 * step : 4 * step + 4])
    assert sorted(seen) == list(range(16))


def test_an_error_while_reading_reaches_the_training(state):
    def fail(ids):
        if len(ids) > 1 or ids[0] != 0:
            raise OSError("the disk is gone")
        return IMAGES[ids], LABELS[ids]

    with pytest.raises(OSError, match="the disk is gone"):
        machine_of(Stream(fail), "1").fit(state, TRAIN, 3, seed=0)


X = np.random.default_rng(0).normal(size=(COUNT, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=COUNT).astype(np.float32)


def squared_error(params, batch, key):
    x, y = batch["x"], batch["y"]
    return (x @ params["w"] + params["b"] - y) ** 2


def linear_state(optimizer):
    params = {"w": np.zeros(4, np.float32), "b": np.float32(0)}
    return create_loss_state(squared_error, params, optimizer, seed=0)


@pytest.mark.parametrize("profile", ["1", "5:1:1"])
def test_the_gradient_of_ones_own_loss_is_the_closed_form(profile):
    machine = machine_of(Samples({"x": X, "y": Y}), profile, batch_size=25)
    fitted = machine.fit(linear_state(optax.sgd(1.0)), TRAIN, 1, seed=0)
    x, y = X[TRAIN], Y[TRAIN]  # one epoch is one batch
    assert fitted.losses[0] == pytest.approx(np.mean(y**2), rel=1e-6)
    np.testing.assert_allclose(fitted.state.params["w"], 2 * (x.T @ y) / len(y), rtol=1e-5)
    np.testing.assert_allclose(fitted.state.params["b"], 2 * y.mean(), rtol=1e-5)


def test_ones_own_loss_trains_to_the_same_bits_on_any_profile():
    def train(profile):
        machine = machine_of(Samples({"x": X, "y": Y}), profile)
        fitted = machine.fit(linear_state(optax.adam(0.1)), TRAIN, 30, seed=0)
        return fitted.losses, fitted.state.params

    losses, params = train("1")
    assert losses[-1] < losses[0]
    for profile in ("2:1:1", "7:1"):
        other_losses, other_params = train(profile)
        assert other_losses == losses
        assert_same_bits(other_params, params)
