import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from hsi_jax.train.losses import ClassLoss, balancing_weights
from hsi_jax.train.tables import LOSSES

LOGITS = np.array([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [-3.0, 4.0, 0.0]], np.float32)
LABELS = np.array([0, 2, 0], np.int32)


def cross_entropy():
    exponents = np.exp(LOGITS.astype(np.float64))
    return -np.log(exponents[np.arange(3), LABELS] / exponents.sum(axis=1))


def test_the_losses_are_their_formulas():
    plain = cross_entropy()
    weights = (3.0, 1.0, 0.5)
    expected = {
        "cross_entropy": plain,
        "weighted": plain * [3.0, 0.5, 3.0],
        "focal": plain * (1 - np.exp(-plain)) ** 2,
    }
    assert set(expected) == set(LOSSES)
    for name, values in expected.items():
        losses = ClassLoss(LOSSES[name], weights)(jnp.asarray(LOGITS), jnp.asarray(LABELS))
        np.testing.assert_allclose(losses, values, rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_sample_that_is_right_beyond_doubt_has_a_finite_gradient(name):
    loss = ClassLoss.of_training(name, (1, 1))
    logits, labels = jnp.array([[100.0, -100.0], [-100.0, 100.0]]), jnp.zeros(2, jnp.int32)
    gradient = jax.grad(lambda x: loss(x, labels).sum())(logits)
    assert np.isfinite(gradient).all()
    assert gradient[1, 0] == pytest.approx(-1, abs=1e-3)


def test_weights_are_those_of_scikit_learn():
    counts = (5, 20, 1)
    labels = np.repeat(np.arange(3), counts)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balancing_weights(counts), expected)
    assert balancing_weights((5, 0, 5)) == (1, 1, 1)
