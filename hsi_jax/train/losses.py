"""The losses of classification, each a function of one sample alone, so that every split is exact.

A loss takes the logits of a sample, float32 [C], its class index, int32 [], and the weight of each
class that `balancing_weights` gives, float32 [C]; it returns float32 [].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hsi_jax.train.tables import LOSSES

FOCUS = 2.0  # gamma of Lin et al.


def cross_entropy(logits: jax.Array, label: jax.Array, weights: jax.Array) -> jax.Array:
    """Cross-entropy of the softmax."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, label)


def weighted(logits: jax.Array, label: jax.Array, weights: jax.Array) -> jax.Array:
    """Cross-entropy times the weight of the class, so that rare classes count as much as others."""
    return weights[label] * cross_entropy(logits, label, weights)


def focal(logits: jax.Array, label: jax.Array, weights: jax.Array) -> jax.Array:
    """Cross-entropy times (1 - p) ** 2, where p is the probability of the true class.

    Lin, Goyal, Girshick, He and Dollar, "Focal Loss for Dense Object Detection", ICCV 2017,
    https://doi.org/10.1109/ICCV.2017.324.
    """
    loss = cross_entropy(logits, label, weights)
    return (1 - jnp.exp(-loss)) ** FOCUS * loss


@dataclass(frozen=True)
class ClassLoss:
    """A loss for the classes of one training.

    Attributes:
        loss: of one sample; see the head of this file.
        weights: of each class.
    """

    loss: Callable[[jax.Array, jax.Array, jax.Array], jax.Array] = cross_entropy
    weights: tuple[float, ...] = ()

    @classmethod
    def of_training(cls, name: str | Callable, counts: Sequence[int] | np.ndarray) -> "ClassLoss":
        """The loss of a name, by the number of training samples of each class.

        Args:
            name: of `LOSSES`, package.module:name, or a loss itself.
            counts: training samples of each class.

        Raises:
            InputError: for an unknown name.
        """
        return cls(LOSSES.find(name), balancing_weights(counts))

    def __call__(self, logits: jax.Array, labels: jax.Array) -> jax.Array:
        """The loss of each sample, float32 [m], of logits [m, C] and class indexes, int32 [m]."""
        return jax.vmap(self.loss, (0, 0, None))(logits, labels, jnp.float32(self.weights))


def balancing_weights(counts: Sequence[int] | np.ndarray) -> tuple[float, ...]:
    """Weights by which all classes count alike, and the mean weight of a sample is 1.

    Args:
        counts: training samples of each class; a class without any has the weight 1.
    """
    numbers = np.asarray(counts, np.float64)
    present = numbers > 0
    weights = numbers.sum() / (present.sum() * np.where(present, numbers, 1))
    return tuple(np.where(present, weights, 1.0).tolist())
