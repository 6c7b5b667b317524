"""The headline: any split over like devices gives bit for bit the training of one device."""

import numpy as np
import optax
import pytest

from hsi_jax.data.sampler import batch_ids
from hsi_jax.hetero import deal
from hsi_jax.models import find_model
from hsi_jax.train.recipe import Recipe
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import train_step
from tests.train.small_scene import CLASSES, COLUMNS, ROWS, assert_same_bits

pytestmark = pytest.mark.slow

STEPS = 20
BATCH_SIZE = 42
OTHER_PROFILES = ("1:1", "2:1:1", "5:1", "1:1:1:1", "7:0.5:0.5:0")
MODELS = {  # smaller than by default in width only, so that the suite stays short
    "cnn1d": (1, {}),
    "cnn2d": (5, {"features": (16, 16, 32), "hidden": 32}),
    "cnn3d": (5, {"features": 4, "deep_features": 6}),
    "hybridsn": (9, {"features": (2, 3, 4), "flat_features": 8, "hidden": (32, 16)}),
}
OPTIMIZERS = {"sgd": optax.sgd(0.1, momentum=0.9), "adam": optax.adam(0.1)}
# The optimiser comes after the sums, so it need not be tried with every model.
LONG = ("cnn2d", "cnn3d", "hybridsn")
TRIED = [
    *(
        pytest.param(model, "sgd", marks=pytest.mark.long if model in LONG else ())
        for model in MODELS
    ),
    ("cnn1d", "adam"),
]


@pytest.mark.parametrize(("model", "optimizer"), TRIED)
def test_every_split_gives_the_same_bits(model, optimizer, machine_of, state_of):
    patch_size, sizes = MODELS[model]
    state = state_of(find_model(model)(CLASSES, **sizes), patch_size, OPTIMIZERS[optimizer])
    pixels = np.arange(ROWS * COLUMNS, dtype=np.int32)

    def train(profile):
        # 42 samples in microbatches of 4: the eleventh is half padding.
        machine = machine_of(profile, BATCH_SIZE, patch_size=patch_size)
        live, losses = machine.replicas.replicate(state), []
        for step in range(STEPS):  # as `fit` does, but compiled once for each number of devices
            work = deal(batch_ids(pixels[:100], BATCH_SIZE, 5, step), machine.plan)
            live, loss = machine.replicas.parallel(train_step, donate=(0,))(
                live, *machine.replicas.ready(work)
            )
            losses.append(float(fetch(loss)))
        return losses, fetch(live), machine.predict(fetch(live), pixels)

    losses, trained, predicted = train("1")
    assert len(losses) == STEPS
    assert np.isfinite(losses).all()
    assert len(set(losses)) == STEPS
    assert bool(trained.batch_stats) == (model == "cnn2d")
    for profile in OTHER_PROFILES:
        other_losses, other_trained, other_predicted = train(profile)
        assert other_losses == losses, profile
        assert_same_bits(other_trained, trained)
        assert_same_bits(other_predicted, predicted)


def test_one_device_is_compiled_like_several(machine_of, state_of):
    """Where XLA's way of compiling for one device was seen to round differently."""
    state = state_of(find_model("cnn2d")(CLASSES, features=(8, 8, 8), hidden=16), 3)
    pixels = np.arange(150, dtype=np.int32)
    results = []
    for profile in ("1", "2:1", "1:0"):
        machine = machine_of(profile, 60, microbatch_size=8, patch_size=3)
        fitted = machine.fit(state, pixels, 3, seed=0)
        results.append((fitted.losses, fitted.state))
    for result in results[1:]:
        assert_same_bits(result, results[0])


def test_the_test_can_fail(machine_of, state_of):
    """Equal weights of unequal shares are another training, and the comparison shows it."""
    state = state_of(find_model("cnn1d")(CLASSES), 1)
    pixels = np.arange(100, dtype=np.int32)
    balanced = machine_of("5:1", 42).fit(state, pixels, 3, seed=5)
    uniform = machine_of("5:1", 42, scheme="uniform").fit(state, pixels, 3, seed=5)
    assert balanced.losses != uniform.losses


def test_balanced_batches_train_to_the_same_bits_and_to_others_than_shuffled_ones(
    machine_of, state_of, labels
):
    """The rare class, a tenth as frequent, is in each batch as often as the others."""
    state, labels = state_of(find_model("cnn1d")(CLASSES), 1), labels.ravel()
    rare = np.flatnonzero(labels == 0)[:3]
    pixels = np.sort(np.concatenate([rare, np.flatnonzero(labels > 0)])).astype(np.int32)
    batches = Recipe(batch_size=40, seed=5, sampling="balanced").batches(pixels, labels)
    drawn = np.bincount(labels[np.concatenate([batches(step) for step in range(5)])])
    assert drawn.tolist() == [40] * CLASSES
    results = []
    for profile in ("1", "2:1:1", "5:1", "7:0.5:0.5:0"):
        fitted = machine_of(profile).fit(state, pixels, 6, seed=5, batches=batches)
        results.append((fitted.losses, fitted.state))
    for result in results[1:]:
        assert_same_bits(result, results[0])
    assert machine_of("2:1:1").fit(state, pixels, 6, seed=5).losses != results[0][0]


def test_the_seed_decides_batches_and_dropout(machine_of, state_of):
    module = find_model("mlp")(CLASSES, dropout=0.5)
    pixels = np.arange(100, dtype=np.int32)
    state = state_of(module, 1)
    first = machine_of("2:1").fit(state, pixels, 3, seed=0).losses
    assert machine_of("2:1").fit(state, pixels, 3, seed=0).losses == first
    assert machine_of("2:1").fit(state, pixels, 3, seed=1).losses != first
    other_dropout = state.replace(seed=state.seed + 1)
    assert machine_of("2:1").fit(other_dropout, pixels, 3, seed=0).losses != first
