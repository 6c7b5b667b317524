"""With our own kernels, too, any split over like devices gives the training of one device."""

import jax
import numpy as np
import optax
import pytest

from hsi_jax.models import find_model
from tests.train.small_scene import BANDS, CLASSES, assert_same_bits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("native_kernels")]

PATCH_SIZE, STEPS = 7, 8
PROFILES = ("2:1:1", "7:0.5:0.5:0")


def test_every_split_gives_the_same_bits(machine_of, state_of):
    module = find_model("cnn2d")(CLASSES, features=(8, 16, 17), hidden=16)
    state = state_of(module, PATCH_SIZE, optax.sgd(0.1, momentum=0.9))
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    patches = np.zeros((4, PATCH_SIZE, PATCH_SIZE, BANDS), np.float32)
    assert "hsi_jax_convolve_rows" in jax.jit(module.apply).lower(variables, patches).as_text()
    pixels = np.arange(100, dtype=np.int32)

    def train(profile):
        # 42 samples in microbatches of 4: the eleventh is half padding.
        machine = machine_of(profile, 42, patch_size=PATCH_SIZE)
        fitted = machine.fit(state, pixels, STEPS, seed=5)
        return fitted, machine.predict(fitted.state, pixels)

    one, predicted = train("1")
    assert len(set(one.losses)) == STEPS
    for profile in PROFILES:
        other, other_predicted = train(profile)
        assert other.losses == one.losses, profile
        assert_same_bits(other.state, one.state)
        assert_same_bits(other_predicted, predicted)
