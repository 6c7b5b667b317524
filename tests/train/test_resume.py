"""A training that was stopped and resumed on other devices ends in the same bits."""

import signal

import numpy as np
import optax
import pytest
from flax import linen as nn

from hsi_jax.hetero.controller import Controller
from hsi_jax.run import Checkpoints
from hsi_jax.train import Progress, Rebalancing
from tests.train.small_scene import CLASSES, assert_same_bits

pytestmark = pytest.mark.slow

TRAIN = np.arange(0, 150, 2, dtype=np.int32)
STEPS = 12


class Small(nn.Module):
    """All that a state can hold: running statistics, and dropout whose keys follow the step."""

    @nn.compact
    def __call__(self, inputs, train=False, mask=None):
        values = nn.Dense(8)(inputs.reshape(len(inputs), -1))
        mask = None if mask is None else mask[:, None] > 0
        values = nn.BatchNorm(use_running_average=not train)(values, mask=mask)
        return nn.Dense(CLASSES)(nn.Dropout(0.5, deterministic=not train)(nn.relu(values)))


@pytest.fixture
def state(state_of):
    return state_of(Small(), 3, optax.adam(0.05))


@pytest.fixture
def machine_for(machine_of):
    return lambda profile, **options: machine_of(profile, 42, patch_size=3, **options)


class Course:
    """A training's steps and validations, as a run would log them."""

    def __init__(self, send=None):
        self.losses, self.validations, self._send = {}, {}, send or {}

    def on_step(self, step, loss, seconds):
        assert step not in self.losses
        self.losses[step] = loss
        if step + 1 in self._send:
            signal.raise_signal(self._send[step + 1])

    def validate(self, state, step):
        # A rank that goes up and down, from the parameters alone.
        rank = (float(np.sin(1e3 * np.asarray(state.params["Dense_0"]["bias"]).sum())),)
        self.validations[step] = rank
        return rank

    def fit(self, machine, state, **options):
        options = {
            "validate": self.validate,
            "validate_every": 4,
            "on_step": self.on_step,
            **options,
        }
        return machine.fit(state, TRAIN, STEPS, 5, **options)


@pytest.fixture
def undisturbed(machine_for, state):
    course = Course()
    return course, course.fit(machine_for("2:1:1"), state)


def assert_same_end(fitted, expected):
    assert fitted.losses == expected.losses
    assert fitted.best_step == expected.best_step
    assert_same_bits(fitted.state, expected.state)
    assert not fitted.interrupted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("stop", "profile"), [(1, "1"), (7, "5:1"), (8, "1:1:1:1"), (11, "2:1:1")])
def test_the_rest_of_a_stopped_training_is_as_if_it_had_not_stopped(
    number, stop, profile, machine_for, state, undisturbed, tmp_path
):
    whole, expected = undisturbed
    first, rest = Course(send={stop: number}), Course()
    with Checkpoints(tmp_path) as checkpoints:
        stopped = first.fit(machine_for("2:1:1"), state, save=checkpoints.save)
        assert (stopped.stopped_by, len(stopped.losses)) == (number, stop)
    start = Progress.of_checkpoint(checkpoints.newest(), state)
    fitted = rest.fit(machine_for(profile), start)

    assert_same_end(fitted, expected)
    assert rest.losses == {step: whole.losses[step] for step in range(stop, STEPS)}
    assert rest.validations == {k: v for k, v in whole.validations.items() if k > stop}
    # After Ctrl-C, but not SIGTERM, the state is validated; the course does not know of it.
    extra = {stop} - set(whole.validations) if number == signal.SIGINT else set()
    assert set(first.validations) - set(whole.validations) == extra


def test_every_checkpoint_leads_to_the_same_end(machine_for, state, undisturbed, tmp_path):
    _, expected = undisturbed
    seen = []
    with Checkpoints(tmp_path, keep=STEPS) as checkpoints:

        def save(progress):
            seen.append(progress.step)
            checkpoints.save(progress)

        Course().fit(machine_for("2:1:1"), state, save=save, save_every=5)
    assert seen == checkpoints.steps() == [5, 10, 12]
    for newest in (12, 10, 5):
        course = Course()
        start = Progress.of_checkpoint(checkpoints.newest(), state)
        assert start.step == newest
        assert_same_end(course.fit(machine_for("3:1"), start), expected)
        assert set(course.losses) == set(range(newest, STEPS))
        (tmp_path / f"{newest:08d}" / "manifest.json").unlink()


def test_the_comparison_can_fail(machine_for, state, undisturbed, tmp_path):
    _, expected = undisturbed
    with Checkpoints(tmp_path) as checkpoints:
        Course(send={6: signal.SIGTERM}).fit(machine_for("1"), state, save=checkpoints.save)
    start = Progress.of_checkpoint(checkpoints.newest(), state)
    moved = start.state.replace(opt_state=state.opt_state)  # the optimiser forgets
    start = type(start)(moved, start.losses, start.best)
    assert Course().fit(machine_for("1"), start).losses != expected.losses


def test_a_controller_goes_on_with_the_same_guess_alone(machine_for):
    machine = machine_for("1:1")

    def rebalancing_of(guess):
        return Rebalancing(Controller(guess, 42, 4), 2)

    first = rebalancing_of(machine.profile)
    plan = machine.plan
    for step in range(1, 13, 2):
        plan = first.observe(step, plan, np.array([10.0, 1.0]))
    assert plan.shares != machine.plan.shares
    saved = first.state(plan)

    same = rebalancing_of(machine.profile)
    resumed = same.resume(saved, machine.plan)
    assert (resumed.shares, resumed.counts) == (plan.shares, plan.counts)
    assert same.records == first.records
    assert same.controller.state() == first.controller.state()

    other = rebalancing_of(machine_for("2:1").profile)
    untouched = other.controller.state()
    assert other.resume(saved, machine.plan) is machine.plan
    assert (other.records, other.controller.state()) == ([], untouched)
