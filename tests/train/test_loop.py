import signal

import numpy as np
import optax
import pytest

from hsi_jax.data.sampler import batch_ids
from hsi_jax.errors import DivergenceError
from hsi_jax.models import find_model
from tests.train.small_scene import CLASSES, assert_same_bits, one_step

TRAIN = np.arange(0, 150, 2, dtype=np.int32)


@pytest.fixture
def state(state_of):
    return state_of(find_model("mlp")(CLASSES, hidden=(8, 8)), 1)


def test_steps_follow_the_sampler_one_by_one(machine_of, state):
    machine = machine_of("2:1")
    fitted = machine.fit(state, TRAIN, 3, seed=9)
    losses = []
    for step in range(3):
        state, loss = one_step(machine.replicas, state, batch_ids(TRAIN, 40, 9, step), machine.plan)
        losses.append(loss)
    assert fitted.losses == losses
    assert_same_bits(fitted.state, state)
    assert len(fitted.step_seconds) == 3
    assert all(seconds > 0 for seconds in [*fitted.step_seconds, fitted.compile_seconds])
    assert not fitted.interrupted
    assert fitted.best_step == 3


def test_the_first_of_the_highest_rank_is_kept(machine_of, state):
    ranks = {2: 0.5, 4: 0.9, 6: 0.9, 7: 0.1}
    seen = {}

    def validate(current, step):
        seen[step] = current
        return (ranks[step],)

    fitted = machine_of("1").fit(state, TRAIN, 7, 0, validate=validate, validate_every=2)
    assert list(seen) == list(ranks)
    assert fitted.best_step == 4
    assert int(fitted.state.step) == 4
    assert_same_bits(fitted.state, seen[4])


def test_training_learns(machine_of, state, labels, cube):
    losses = machine_of("4:2:1:1").fit(state, TRAIN, 200, seed=0).losses
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_divergence_is_told_with_its_step(machine_of, state_of):
    state = state_of(find_model("mlp")(CLASSES), 1, optax.sgd(1e30))
    told = []
    with pytest.raises(DivergenceError, match=r"the loss of step [1-9] is nan.*learning_rate"):
        machine_of("2:1").fit(state, TRAIN, 20, 0, on_step=lambda step, *_: told.append(step))
    assert told == list(range(len(told)))


def test_interrupt_ends_after_the_step_and_keeps_the_state(machine_of, state):
    def interrupt(step, loss, seconds):
        if step == 4:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    fitted = machine_of("2:1").fit(state, TRAIN, 50, 0, on_step=interrupt)
    assert fitted.interrupted
    assert len(fitted.losses) == 5
    assert int(fitted.state.step) == 5
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_acts_as_always(machine_of, state):
    def interrupt(step, loss, seconds):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        machine_of("1").fit(state, TRAIN, 50, 0, on_step=interrupt)


def test_a_training_that_no_longer_becomes_better_ends_early(machine_of, state_of):
    ranks = {2: (1.0,), 4: (3.0,), 6: (2.0,), 8: (3.0,), 10: (1.0,), 12: (9.0,)}
    saved = []
    options = {
        "validate": lambda state, step: ranks[step],
        "validate_every": 2,
        "patience": 3,
        "save": saved.append,
        "save_every": 4,
    }
    machine, state = machine_of("2:1"), state_of(find_model("mlp")(CLASSES, hidden=(8,)), 1)
    fitted = machine.fit(state, TRAIN, 40, 0, **options)
    assert (len(fitted.losses), fitted.best_step, fitted.interrupted) == (10, 4, False)
    # Continued from before its end, or from its end, it ends in the same place.
    for progress in saved:
        rest = machine.fit(progress, TRAIN, 40, 0, **options)
        assert rest.losses == fitted.losses
        assert rest.best_step == 4
