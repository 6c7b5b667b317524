import logging
import re
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn

from hsi_jax.data.sampler import batch_ids
from hsi_jax.errors import DivergenceError
from hsi_jax.hetero import exact_sum
from hsi_jax.models import find_model
from hsi_jax.train import Patches, Replicas
from hsi_jax.train.nonfinite import find_cause
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import AXIS, contribution, train_step
from hsi_jax.train.stepper import Stepper
from tests.train.small_scene import CLASSES, COLUMNS, assert_same_bits

pytestmark = pytest.mark.slow

TRAIN = np.arange(0, 150, 2, dtype=np.int32)
BATCH = 10
SPOILED = 3  # the step whose batch holds the spoiled pixel


@pytest.fixture
def state(state_of):
    return state_of(find_model("mlp")(CLASSES, hidden=(8, 8)), 1, optax.adam(0.01))


@pytest.fixture
def spoiled(machine_of, cube, labels):
    """Replicas of a scene with one pixel that is not finite, in the batch of one step alone."""

    def make(profile, value=np.nan):
        machine = machine_of(profile, BATCH)
        pixel = batch_ids(TRAIN, BATCH, 0, SPOILED)[5]
        assert all(pixel not in batch_ids(TRAIN, BATCH, 0, step) for step in range(SPOILED))
        broken = cube.copy()
        broken.reshape(-1, cube.shape[-1])[pixel, 0] = value
        patches = Patches.of_scene(broken, labels, 1)
        return replace(machine, replicas=Replicas(len(machine.profile), patches))

    return make


@pytest.mark.parametrize("profile", ["1", "2:1"])
def test_the_run_stops_with_the_step_and_the_quantity(spoiled, state, profile):
    row, column = divmod(int(batch_ids(TRAIN, BATCH, 0, SPOILED)[5]), COLUMNS)
    wanted = f"step {SPOILED} .* input .* row {row}, column {column}, channel 0 .* nan.*`nodata`"
    with pytest.raises(DivergenceError, match=wanted) as caught:
        spoiled(profile).fit(state, TRAIN, 7, 0)
    assert "learning_rate" not in str(caught.value)


@pytest.mark.parametrize("profile", ["1", "1:1:1"])
def test_a_batch_that_is_left_out_changes_nothing(spoiled, state, profile, caplog, machine_of):
    fitted = spoiled(profile).fit(state, TRAIN, SPOILED + 1, 0, skip_nonfinite=True)
    before = machine_of(profile, BATCH).fit(state, TRAIN, SPOILED, 0)
    assert [np.isfinite(loss) for loss in fitted.losses] == [True] * SPOILED + [False]
    assert int(fitted.state.step) == int(before.state.step) + 1
    assert_same_bits(fitted.state.replace(step=before.state.step), before.state)
    (record,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert record.getMessage().startswith(f"Step {SPOILED} is left out, because the input of")


def test_leaving_out_goes_on_with_the_bits_of_any_split(spoiled, state):
    one = spoiled("1").fit(state, TRAIN, 7, 0, skip_nonfinite=True)
    other = spoiled("1:0.5:0.5").fit(state, TRAIN, 7, 0, skip_nonfinite=True)
    assert np.array_equal(one.losses, other.losses, equal_nan=True)
    assert np.isfinite(one.losses[SPOILED + 1 :]).all()
    assert_same_bits(one.state, other.state)


def test_leaving_out_for_ever_is_no_training(machine_of, state, cube, labels):
    machine = machine_of("1", BATCH)
    broken = Patches.of_scene(np.full_like(cube, np.inf), labels, 1)
    broken = replace(machine, replicas=Replicas(1, broken))
    steps = []
    with pytest.raises(
        DivergenceError, match=r"10 steps in a row were not finite, the last one, 9, be"
    ):
        broken.fit(
            state,
            TRAIN,
            50,
            0,
            on_step=lambda step, loss, seconds: steps.append(step),
            skip_nonfinite=True,
        )
    assert steps == list(range(10))


@pytest.mark.long
def test_a_timed_step_keeps_the_state_as_well(spoiled, state):
    machine = spoiled("2:1")
    ready = machine.ready(batch_ids(TRAIN, BATCH, 0, SPOILED))
    stepper = Stepper(machine.replicas, machine.replicas.replicate(state), ready, timed=True)
    for step in (stepper.step, stepper.timed_step):
        live, loss, *_ = step(machine.replicas.replicate(state), ready)
        assert np.isnan(loss)
        assert_same_bits(fetch(live).params, state.params)
        assert_same_bits(fetch(live).opt_state, state.opt_state)


def unguarded_step(state, samples, work):
    """The step as it would be if it did not look whether its sums are finite."""
    term = contribution(state, samples, work)
    loss, grads, stats = exact_sum(term, work.count, max_terms=len(work.ids), axis_name=AXIS)
    return state.update(grads, stats), loss


def test_the_guard_leaves_the_bits_of_a_finite_step(machine_of, state_of):
    # Products with powers of two are exact: XLA may fuse the two programs differently.
    optimizer = optax.sgd(0.125, momentum=0.5)
    state = state_of(find_model("mlp")(CLASSES, hidden=(8, 8)), 1, optimizer)
    machine = machine_of("2:1", BATCH)
    guarded, unguarded = machine.replicas.replicate(state), machine.replicas.replicate(state)
    for step in range(3):
        ready = machine.ready(batch_ids(TRAIN, BATCH, 0, step))
        guarded, loss = machine.replicas.parallel(train_step)(guarded, *ready)
        unguarded, same = machine.replicas.parallel(unguarded_step)(unguarded, *ready)
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
        return scale * 1e12 * nn.one_hot(jax.numpy.zeros(len(inputs), int), CLASSES)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Root(), "the gradient of params/kernel in microbatch 0 is -inf"),
        (Huge(), r"the loss in microbatch 0 is [\d.e+]+, beyond the [\d.e+]+ of exact sums"),
    ],
)
def test_the_cause_is_named(machine_of, state_of, module, message):
    machine = machine_of("1:1", BATCH)
    found = find_cause(machine.replicas, state_of(module, 1), TRAIN[:BATCH], 4)
    assert re.fullmatch(message, found), found


@pytest.mark.long
def test_the_learning_rate_is_blamed_only_after_a_finite_step(machine_of, state_of):
    rough = optax.sgd(1e30)
    with pytest.raises(DivergenceError, match=r"step [1-9].*lower `learning_rate`"):
        machine_of("1", BATCH).fit(
            state_of(find_model("mlp")(CLASSES, hidden=(8, 8)), 1, rough), TRAIN, 7, 0
        )
    with pytest.raises(DivergenceError, match=r"step 0.*the model and the data") as caught:
        machine_of("1", BATCH).fit(state_of(Huge(), 1, rough), TRAIN, 7, 0)
    assert "lower" not in str(caught.value)


def test_parameters_that_were_spoiled_before_are_named(machine_of, state):
    params = jax.tree.map(np.array, state.params)
    params["Dense_1"]["bias"][3] = np.inf
    found = find_cause(machine_of("1").replicas, state.replace(params=params), TRAIN[:BATCH], 4)
    assert found == "params/Dense_1/bias is not finite before the step"


def test_a_sound_batch_has_no_cause(machine_of, state):
    found = find_cause(machine_of("1:1", BATCH).replicas, state, TRAIN[:BATCH], 4)
    assert found == "no quantity of it is, when computed again alone"
