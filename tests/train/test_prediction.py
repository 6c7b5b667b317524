import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.train import Patches, Replicas, prediction
from tests.train.small_scene import BANDS, CLASSES, COLUMNS, ROWS

PIXELS = ROWS * COLUMNS


class Softmax(nn.Module):
    @nn.compact
    def __call__(self, patches, *, train=False, mask=None):
        return nn.Dense(CLASSES)(patches.reshape(len(patches), -1))


@pytest.fixture
def small_calls(monkeypatch):
    """Calls of 32 samples, so that a few pixels need several."""
    monkeypatch.setattr(prediction, "SAMPLES_PER_CALL", 32)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 31, 32, 33, PIXELS])
@pytest.mark.parametrize("profile", ["1", "5:1:1:0"])
def test_each_pixel_is_predicted_once_and_in_order(
    profile, count, small_calls, replicas_of, state_of, cube, labels
):
    ids = np.random.default_rng(count).permutation(PIXELS)[:count].astype(np.int32)
    state = state_of(Softmax(), 1)
    told = []
    classes, losses = prediction.predict(replicas_of(profile), state, ids, told.append)

    dense = state.params["Dense_0"]
    logits = cube.reshape(-1, BANDS)[ids] @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    log_sum = np.log(np.exp(logits).sum(axis=1))
    wanted = log_sum - logits[np.arange(count), labels.flat[ids]]
    assert classes.dtype == np.int32
    assert losses.dtype == np.float32
    assert classes.tolist() == logits.argmax(axis=1).tolist()
    np.testing.assert_allclose(losses, wanted, rtol=1e-5, atol=1e-6)
    assert sum(told) == count


def test_memory_caps_do_not_stop_prediction(tmp_path, replicas_of, state_of):
    path = tmp_path / "capped.json"
    path.write_text('{"devices": [{"speed": 1, "memory_cap": 20}, {"speed": 1, "memory_cap": 20}]}')
    replicas = replicas_of(str(path), batch_size=40)
    ids = np.arange(PIXELS, dtype=np.int32)
    classes, _ = prediction.predict(replicas, state_of(Softmax(), 1), ids)
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
    replicas = Replicas(profile, make_plan("balanced", profile, 8, 4), patches)
    classes, _ = prediction.predict(
        replicas, state_of(Locator(), 5, bands=1), np.arange(PIXELS, dtype=np.int32)
    )
    assert classes.reshape(ROWS, COLUMNS).tolist() == numbers.tolist()
