"""The networks of the field train to the same bits, whatever the split."""

import numpy as np
import optax
import pytest

from hsi_jax.models import build_model
from hsi_jax.train.augmentation import Preparation
from hsi_jax.train.losses import ClassLoss
from hsi_jax.train.state import Classification
from tests.models.narrow import NARROW
from tests.train.small_scene import CLASSES, assert_same_bits

AUGMENT = ("flip", "rotate", "noise", "bands")

pytestmark = pytest.mark.slow

PATCH_SIZE = 5
# Its keys are those of the step, whatever the network; in these two it takes long to compile.
QUICK = ("mamba", "vit")  # those of the others are long
UNDROPPED = ("ssftt", "spectralformer")


@pytest.mark.parametrize(
    ("model", "augment", "loss"),
    [
        *(
            pytest.param(
                *(model, (), "cross_entropy"),
                marks=() if model in QUICK else pytest.mark.long,
            )
            for model in NARROW
            if model not in UNDROPPED
        ),
        pytest.param("ssftt", AUGMENT, "weighted", marks=pytest.mark.long),
        ("spectralformer", (), "focal"),
    ],
)
def test_every_split_gives_the_same_bits(model, augment, loss, machine_of, state_of):
    dropout = {"dropout": 0.0} if model in UNDROPPED else {}
    module = build_model(model, CLASSES, NARROW[model] | dropout)
    state = state_of(module, PATCH_SIZE, optax.sgd(0.05))  # which compiles faster than Adam
    loss = ClassLoss.of_training(loss, range(1, CLASSES + 1))
    prepare = Preparation((0.0,), (1.0,), augment) if augment else None
    state = state.replace(task=Classification(module, prepare, loss))
    pixels = np.arange(150, dtype=np.int32)

    def train(profile):
        # 22 samples in microbatches of 4: the last is half padding.
        machine = machine_of(profile, 22, patch_size=PATCH_SIZE)
        fitted = machine.fit(state, pixels[:100], 6, seed=5)
        return fitted.losses, fitted.state, machine.predict(fitted.state, pixels[100:])

    losses, trained, predicted = train("1")
    assert np.isfinite(losses).all()
    assert len(set(losses)) == len(losses)
    for profile in ("5:1",):  # more of them for other networks: test_invariance.py
        other_losses, other_trained, other_predicted = train(profile)
        assert other_losses == losses, profile
        assert_same_bits(other_trained, trained)
        assert_same_bits(other_predicted, predicted)
