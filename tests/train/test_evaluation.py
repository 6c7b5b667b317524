import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from hsi_jax.errors import DivergenceError, InputError
from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.train import (
    Patches,
    Replicas,
    create_loss_state,
    evaluate,
    evaluation,
    predict_probabilities,
)
from tests.train.small_scene import BANDS, CLASSES, COLUMNS, ROWS, Machine, assert_same_bits

PIXELS = ROWS * COLUMNS


class Softmax(nn.Module):
    @nn.compact
    def __call__(self, patches, *, train=False, mask=None):
        return nn.Dense(CLASSES)(patches.reshape(len(patches), -1))


@pytest.fixture
def small_calls(monkeypatch):
    """Calls of 32 samples, so that a few pixels need several."""
    monkeypatch.setattr(evaluation, "SAMPLES_PER_CALL", 32)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 31, 32, 33, PIXELS])
@pytest.mark.parametrize("profile", ["1", "5:1:1:0"])
def test_each_pixel_is_predicted_once_and_in_order(
    profile, count, small_calls, machine_of, state_of, cube, labels
):
    ids = np.random.default_rng(count).permutation(PIXELS)[:count].astype(np.int32)
    state = state_of(Softmax(), 1)
    told = []
    classes, losses = machine_of(profile).predict(state, ids, on_progress=told.append)

    dense = state.params["Dense_0"]
    logits = cube.reshape(-1, BANDS)[ids] @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    log_sum = np.log(np.exp(logits).sum(axis=1))
    wanted = log_sum - logits[np.arange(count), labels.flat[ids]]
    assert classes.dtype == np.int32
    assert losses.dtype == np.float32
    assert classes.tolist() == logits.argmax(axis=1).tolist()
    np.testing.assert_allclose(losses, wanted, rtol=1e-5, atol=1e-6)
    assert sum(told) == count


def test_confidences_are_the_probabilities_of_the_predicted_classes(
    small_calls, machine_of, state_of, labels
):
    machine, state = machine_of("5:1:1:0"), state_of(Softmax(), 1)
    ids = np.arange(PIXELS, dtype=np.int32)
    division = {"profile": machine.profile, "plan": machine.plan}
    labels = labels.ravel()
    found = evaluate(machine.replicas, state, ids, labels, num_classes=CLASSES, **division)
    probabilities = predict_probabilities(machine.replicas, state, ids, **division)
    assert found.confidences.dtype == np.float32
    np.testing.assert_allclose(found.confidences, probabilities.max(axis=1), rtol=1e-5)


def test_memory_caps_do_not_stop_prediction(tmp_path, machine_of, state_of):
    path = tmp_path / "capped.json"
    path.write_text('{"devices": [{"speed": 1, "memory_cap": 20}, {"speed": 1, "memory_cap": 20}]}')
    machine = machine_of(str(path), batch_size=40)
    ids = np.arange(PIXELS, dtype=np.int32)
    classes, _ = machine.predict(state_of(Softmax(), 1), ids)
    assert len(classes) == PIXELS


class Locator(nn.Module):
    """Its logits are the coordinates that the scene codes, so a wrong patch is a wrong class."""

    @nn.compact
    def __call__(self, patches, *, train=False, mask=None):
        centre = patches.shape[1] // 2
        number = patches[:, centre, centre, 0]
        self.param("unused", nn.initializers.zeros, (1,))
        return -jnp.abs(number[:, None] - jnp.arange(PIXELS, dtype=jnp.float32))


def test_predictions_land_on_their_pixels(state_of):
    numbers = np.arange(PIXELS, dtype=np.float32).reshape(ROWS, COLUMNS)
    patches = Patches.of_scene(numbers[..., None], numbers.astype(np.int32), 5)
    profile = parse_profile("3:2:1")
    machine = Machine(Replicas(3, patches), profile, make_plan("balanced", profile, 8, 4))
    classes, _ = machine.predict(state_of(Locator(), 5, bands=1), np.arange(PIXELS, dtype=np.int32))
    assert classes.reshape(ROWS, COLUMNS).tolist() == numbers.tolist()


@pytest.mark.parametrize("count", [1, 31, 33, PIXELS])
@pytest.mark.parametrize("profile", ["1", "5:1:1:0"])
def test_probabilities_are_the_softmax_of_each_pixel(
    profile, count, small_calls, machine_of, state_of, cube
):
    ids = np.random.default_rng(count).permutation(PIXELS)[:count].astype(np.int32)
    state, machine = state_of(Softmax(), 1), machine_of(profile)
    division = {"profile": machine.profile, "plan": machine.plan}
    probabilities = predict_probabilities(machine.replicas, state, ids, **division)
    dense = state.params["Dense_0"]
    logits = cube.reshape(-1, BANDS)[ids] @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, wanted, rtol=1e-5, atol=1e-7)
    one = machine_of("1")
    division = {"profile": one.profile, "plan": one.plan}
    assert_same_bits(predict_probabilities(one.replicas, state, ids, **division), probabilities)


def test_an_evaluation_is_that_of_its_predictions(machine_of, state_of, labels):
    machine, state = machine_of("2:1"), state_of(Softmax(), 1)
    ids = np.arange(0, PIXELS, 3, dtype=np.int32)
    division = {"num_classes": CLASSES, "profile": machine.profile, "plan": machine.plan}
    found = evaluate(machine.replicas, state, ids, labels.ravel(), **division)
    classes, losses = machine.predict(state, ids)
    assert found.classes.tolist() == classes.tolist()
    assert found.loss == np.mean(losses, dtype=np.float64)
    truth = labels.flat[ids]
    assert found.scores.overall_accuracy == np.mean(classes == truth)
    assert [found.confusion[a, b] for a in range(CLASSES) for b in range(CLASSES)] == [
        np.sum((truth == a) & (classes == b)) for a in range(CLASSES) for b in range(CLASSES)
    ]
    assert found.rank == (found.scores.overall_accuracy, -found.loss)


def test_an_evaluation_that_is_not_finite_has_diverged(machine_of, state_of, labels):
    machine, state = machine_of("1"), state_of(Softmax(), 1)
    broken = state.replace(
        params={
            "Dense_0": {
                "kernel": np.full((BANDS, CLASSES), np.nan),
                "bias": np.zeros(CLASSES, np.float32),
            }
        }
    )
    ids = np.arange(8, dtype=np.int32)
    division = {"num_classes": CLASSES, "profile": machine.profile, "plan": machine.plan}
    with pytest.raises(DivergenceError, match="learning_rate"):
        evaluate(machine.replicas, broken, ids, labels.ravel(), **division)


def test_a_loss_of_ones_own_predicts_no_classes(machine_of):
    params = {"w": np.zeros(3, np.float32)}
    state = create_loss_state(lambda params, batch, key: batch[1], params, optax.sgd(1.0), seed=0)
    with pytest.raises(InputError, match="no classes"):
        machine_of("1").predict(state, np.arange(4, dtype=np.int32))
