import logging
import re

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn

from hsi_jax.data.sampler import batch_ids
from hsi_jax.errors import InputError
from hsi_jax.hetero import deal, exact_sum
from hsi_jax.models import find_model
from hsi_jax.train import Patches, Replicas, fit
from hsi_jax.train.diagnosis import find_offender
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import AXIS, contribution, train_step
from hsi_jax.train.stepper import Stepper
from tests.train.small_scene import CLASSES, assert_same_bits

TRAIN = np.arange(0, 150, 2, dtype=np.int32)
BATCH = 10
SPOILED = 3  # the step whose batch holds the spoiled pixel


@pytest.fixture
def state(state_of):
    return state_of(find_model("mlp")(CLASSES, hidden=(8, 8)), 1, optax.adam(0.01))


@pytest.fixture
def spoiled(replicas_of, cube, labels):
    """Replicas of a scene with one pixel that is not finite, in the batch of one step alone."""

    def make(profile, value=np.nan):
        replicas = replicas_of(profile, BATCH)
        pixel = batch_ids(TRAIN, BATCH, 0, SPOILED)[5]
        assert all(pixel not in batch_ids(TRAIN, BATCH, 0, step) for step in range(SPOILED))
        broken = cube.copy()
        broken.reshape(-1, cube.shape[-1])[pixel, 0] = value
        return Replicas(replicas.profile, replicas.plan, Patches.of_scene(broken, labels, 1))

    return make


@pytest.mark.parametrize("profile", ["1", "2:1"])
def test_the_run_stops_with_the_step_and_the_quantity(spoiled, state, profile):
    wanted = f"the loss of step {SPOILED} is nan, because the loss in microbatch 1 is nan"
    with pytest.raises(InputError, match=re.escape(wanted)):
        fit(spoiled(profile), state, TRAIN, 7, 0)


@pytest.mark.parametrize("profile", ["1", "1:1:1"])
def test_a_batch_that_is_left_out_changes_nothing(spoiled, state, profile, caplog, replicas_of):
    fitted = fit(spoiled(profile), state, TRAIN, SPOILED + 1, 0, skip_nonfinite=True)
    before = fit(replicas_of(profile, BATCH), state, TRAIN, SPOILED, 0)
    assert [np.isfinite(loss) for loss in fitted.losses] == [True] * SPOILED + [False]
    assert int(fitted.state.step) == int(before.state.step) + 1
    assert_same_bits(fitted.state.replace(step=before.state.step), before.state)
    (record,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert record.getMessage().startswith(f"Step {SPOILED} is left out, because the loss in")


def test_leaving_out_goes_on_with_the_bits_of_any_split(spoiled, state):
    one = fit(spoiled("1"), state, TRAIN, 7, 0, skip_nonfinite=True)
    other = fit(spoiled("1:0.5:0.5"), state, TRAIN, 7, 0, skip_nonfinite=True)
    assert np.array_equal(one.losses, other.losses, equal_nan=True)
    assert np.isfinite(one.losses[SPOILED + 1 :]).all()
    assert_same_bits(one.state, other.state)


def test_leaving_out_for_ever_is_no_training(replicas_of, state, cube, labels):
    replicas = replicas_of("1", BATCH)
    broken = Patches.of_scene(np.full_like(cube, np.inf), labels, 1)
    broken = Replicas(replicas.profile, replicas.plan, broken)
    steps = []
    with pytest.raises(InputError, match=r"10 steps in a row were not finite, the last one, 9, be"):
        fit(
            broken,
            state,
            TRAIN,
            50,
            0,
            on_step=lambda step, loss, seconds: steps.append(step),
            skip_nonfinite=True,
        )
    assert steps == list(range(10))


def test_a_timed_step_keeps_the_state_as_well(spoiled, state):
    replicas = spoiled("2:1")
    ready = replicas.ready(deal(batch_ids(TRAIN, BATCH, 0, SPOILED), replicas.plan))
    stepper = Stepper(replicas, replicas.replicate(state), ready, timed=True)
    for step in (stepper.step, stepper.timed_step):
        live, loss, *_ = step(replicas.replicate(state), ready)
        assert np.isnan(loss)
        assert_same_bits(fetch(live).params, state.params)
        assert_same_bits(fetch(live).opt_state, state.opt_state)


def unguarded_step(state, samples, work):
    """The step as it would be if it did not look whether its sums are finite."""
    term = contribution(state, samples, work)
    loss, grads, stats = exact_sum(term, work.count, most=len(work.ids), axis_name=AXIS)
    return state.update(grads, stats), loss


def test_the_guard_leaves_the_bits_of_a_finite_step(replicas_of, state_of):
    # Products with powers of two are exact: XLA may fuse the two programs differently.
    optimizer = optax.sgd(0.125, momentum=0.5)
    state = state_of(find_model("mlp")(CLASSES, hidden=(8, 8)), 1, optimizer)
    replicas = replicas_of("2:1", BATCH)
    guarded, unguarded = replicas.replicate(state), replicas.replicate(state)
    for step in range(3):
        ready = replicas.ready(deal(batch_ids(TRAIN, BATCH, 0, step), replicas.plan))
        guarded, loss = replicas.pmap(train_step)(guarded, *ready)
        unguarded, same = replicas.pmap(unguarded_step)(unguarded, *ready)
        assert np.isfinite(fetch(loss))
        assert fetch(loss) == fetch(same)
    assert_same_bits(fetch(guarded), fetch(unguarded))


class Root(nn.Module):
    """Its loss is finite where its gradient is not: the square root at 0."""

    @nn.compact
    def __call__(self, inputs, train=False, mask=None):
        kernel = self.param("kernel", nn.initializers.zeros, (CLASSES,))
        return jax.numpy.sqrt(kernel) + 0 * inputs.reshape(len(inputs), -1)[:, :1]


class Huge(nn.Module):
    """Its loss is beyond what exact sums can hold."""

    @nn.compact
    def __call__(self, inputs, train=False, mask=None):
        scale = self.param("scale", nn.initializers.ones, ())
        return scale * 1e9 * nn.one_hot(jax.numpy.zeros(len(inputs), int), CLASSES)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Root(), "the gradient of params/kernel in microbatch 0 is -inf"),
        (Huge(), r"the loss in microbatch 0 is [\d.e+]+, beyond the [\d.e+]+ of exact sums"),
    ],
)
def test_the_offender_is_named(replicas_of, state_of, module, message):
    replicas = replicas_of("1:1", BATCH)
    found = find_offender(replicas, state_of(module, 1), TRAIN[:BATCH])
    assert re.fullmatch(message, found), found


def test_parameters_that_were_spoiled_before_are_named(replicas_of, state):
    params = jax.tree.map(np.array, state.params)
    params["Dense_1"]["bias"][3] = np.inf
    found = find_offender(replicas_of("1"), state.replace(params=params), TRAIN[:BATCH])
    assert found == "params/Dense_1/bias is not finite before the step"


def test_a_sound_batch_has_no_offender(replicas_of, state):
    found = find_offender(replicas_of("1:1", BATCH), state, TRAIN[:BATCH])
    assert found == "no quantity of it is, when computed again alone"
