"""A masked autoencoder: the same bits by any split, and errors as a plain restatement has them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hsi_jax.errors import InputError
from hsi_jax.hetero import deal
from hsi_jax.models.encoder import build_autoencoder
from hsi_jax.train.masking import Masking
from hsi_jax.train.pretraining import (
    MEASURING,
    Reconstruction,
    measure_reconstruction,
    reconstruct,
)
from hsi_jax.train.state import new_state
from hsi_jax.train.step import NO_MICROBATCH, contribution
from tests.train.small_scene import BANDS, COLUMNS, ROWS, assert_same_bits

SIZE, SEED = 3, 3
MASKING = Masking(mask_group=3)
PIXELS = np.arange(ROWS * COLUMNS, dtype=np.int32)


@pytest.fixture(scope="module")
def state():
    module = build_autoencoder("mlp", {"hidden": (8, 8), "dropout": 0.5})
    patches = jnp.zeros((1, SIZE, SIZE, BANDS))
    params = module.init(jax.random.key(0), patches)["params"]
    task = Reconstruction(module, MASKING)
    return new_state(params, {}, optimizer=optax.adam(0.01), seed=SEED, task=task)


@pytest.mark.long
def test_every_split_gives_the_same_bits(machine_of, state):
    results = []
    for profile in ("1", "2:1:1", "7:0.5:0.5:0"):
        machine = machine_of(profile, 42, patch_size=SIZE)
        fitted = machine.fit(state, PIXELS[:100], 6, seed=5)
        division = {"profile": machine.profile, "plan": machine.plan}
        errors = measure_reconstruction(machine.replicas, fitted.state, PIXELS, **division)
        results.append((fitted.losses, fitted.state, errors.squares, errors.counts))
    assert np.isfinite(results[0][0]).all()
    assert len(set(results[0][0])) == 6
    for result in results[1:]:
        assert_same_bits(result, results[0])


def restated(state, patches, hidden):
    """Errors of hidden values with data, by NumPy."""
    variables = {"params": state.params}
    made = np.asarray(state.task.module.apply(variables, np.where(hidden, 0, patches)))
    counted = hidden & np.any(patches != 0, axis=-1, keepdims=True)
    return np.where(counted, (made - patches) ** 2, 0), counted


def masks(step, ids):
    """What is hidden of samples in a step, one by one, from the rule as it is documented."""
    keys = [
        jax.random.fold_in(
            jax.random.fold_in(
                jax.random.fold_in(jax.random.fold_in(jax.random.key(SEED), step), NO_MICROBATCH), i
            ),
            2**31,
        )
        for i in ids
    ]
    return np.stack([MASKING.draw(key, (SIZE, SIZE, BANDS)) for key in keys])


def test_the_loss_is_that_of_a_plain_restatement(machine_of, cube):
    module = build_autoencoder("mlp", {"hidden": (8, 8), "dropout": 0.0})
    params = module.init(jax.random.key(1), jnp.zeros((1, SIZE, SIZE, BANDS)))["params"]
    task = Reconstruction(module, MASKING)
    state = new_state(params, {}, optimizer=optax.sgd(0.1), seed=SEED, task=task)
    state = state.replace(step=jnp.int32(4))
    machine, ids = machine_of("1", 10, patch_size=SIZE), PIXELS[20:30]
    work = jax.tree.map(lambda array: array[0], deal(ids, machine.plan))
    samples = jax.tree.map(lambda array: array[0], machine.replicas.samples)
    terms = contribution(state, samples, work)
    ours = sum(float(terms(index)[0]) for index in range(int(work.count)))
    patches = np.asarray(samples.take(ids, 0)[0])
    squares, counted = restated(state, patches, masks(4, ids))
    own = squares.sum((1, 2, 3)) / counted.sum((1, 2, 3))
    assert ours == pytest.approx(own.mean(), rel=1e-5)


def test_errors_are_those_of_the_hidden_values_of_each_band(machine_of, state):
    machine = machine_of("2:1", 40, patch_size=SIZE)
    division = {"profile": machine.profile, "plan": machine.plan}
    found = measure_reconstruction(machine.replicas, state, PIXELS, **division)
    patches, hidden, made = reconstruct(machine.replicas, state, PIXELS, **division)
    key = jax.random.fold_in(
        jax.random.fold_in(jax.random.fold_in(jax.random.key(SEED), jnp.uint32(MEASURING)), 17),
        2**31,
    )
    assert np.array_equal(hidden[17], MASKING.draw(key, (SIZE, SIZE, BANDS)))
    squares, counted = restated(state, patches, hidden)
    np.testing.assert_allclose(found.squares, squares.sum((0, 1, 2)), rtol=1e-4)
    of_mean = np.where(counted, patches**2, 0).sum((0, 1, 2))
    np.testing.assert_allclose(found.of_mean, of_mean, rtol=1e-4)
    assert np.array_equal(found.counts, counted.sum((0, 1, 2)))
    assert found.error == pytest.approx(squares.sum() / counted.sum(), rel=1e-4)
    assert found.by_channel()[0][0] == pytest.approx(found.squares[0] / found.counts[0])
    assert made.shape == patches.shape


def test_pixels_without_data_do_not_count():
    module = build_autoencoder("mlp", {"hidden": (8, 8), "dropout": 0.0})
    patches = np.random.default_rng(0).normal(size=(4, SIZE, SIZE, BANDS)).astype(np.float32)
    patches[1, 0] = 0
    patches[2] = 0  # none of its pixels has data
    params = module.init(jax.random.key(1), patches)["params"]
    task = Reconstruction(module, MASKING)
    keys = jax.random.split(jax.random.key(5), 4)
    given = {"mask": jnp.ones(4), "key": keys[0], "sample_keys": keys}
    losses, _ = task.losses(params, {}, (patches, None), **given)
    hidden = np.asarray(task.hidden(keys, jnp.asarray(patches)))
    state = new_state(params, {}, optimizer=optax.sgd(0.1), seed=0, task=task)
    squares, counted = restated(state, patches, hidden)
    expected = squares.sum((1, 2, 3)) / np.maximum(counted.sum((1, 2, 3)), 1)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert losses[2] == 0


def test_it_has_no_classes(machine_of, state):
    machine = machine_of("1", 40, patch_size=SIZE)
    with pytest.raises(InputError, match="no classes to predict"):
        machine.predict(state, PIXELS)
