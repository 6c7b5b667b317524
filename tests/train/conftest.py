"""A small random scene, and one step on it whose gradient can be read."""

import numpy as np
import optax
import pytest

from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.train import Patches, Replicas, TrainState, create_state
from tests.train.small_scene import BANDS, CLASSES, COLUMNS, ROWS, Machine, one_step


@pytest.fixture(scope="session")
def cube() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(ROWS, COLUMNS, BANDS)).astype(np.float32)


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return np.random.default_rng(2).integers(0, CLASSES, (ROWS, COLUMNS)).astype(np.int32)


@pytest.fixture
def machine_of(cube, labels):
    """Makes a machine with the small scene from a profile and sizes."""

    def make(profile, batch_size=40, microbatch_size=4, scheme="balanced", patch_size=1):
        profile = parse_profile(profile)
        plan = make_plan(scheme, profile, batch_size, microbatch_size)
        patches = Patches.of_scene(cube, labels, patch_size)
        return Machine(Replicas(len(profile), patches), profile, plan)

    return make


@pytest.fixture(scope="session")
def state_of():
    """Makes a first state of a module for patches of the small scene; initialises each once."""
    first = {}

    def make(module, patch_size, optimizer=None, bands=BANDS) -> TrainState:
        key = module, patch_size, bands
        shape = (patch_size, patch_size, bands)
        if key not in first:
            first[key] = create_state(module, optax.identity(), shape, seed=3)
        optimizer = optimizer or optax.sgd(0.1)
        return first[key].replace(optimizer=optimizer, opt_state=optimizer.init(first[key].params))

    return make


@pytest.fixture
def gradient_of(machine_of, state_of):
    """Takes one step and returns the loss, its gradient and the next state."""

    def take(module, ids, profile, patch_size=1, microbatch_size=4, scheme="balanced"):
        machine = machine_of(profile, len(ids), microbatch_size, scheme, patch_size)
        # Without decay, the trace that Optax keeps is the gradient itself.
        state = state_of(module, patch_size, optax.trace(decay=0.0))
        state, loss = one_step(machine.replicas, state, ids, machine.plan)
        return loss, state.opt_state.trace, state

    return take
