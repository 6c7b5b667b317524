"""The losses of classification, each a function of a sample alone, so that every split is exact."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

FOCUS = 2.0  # gamma of Lin et al.


@dataclass(frozen=True)
class ClassLoss:
    """Cross-entropy, by class or by how hard a sample is.

    "weighted" multiplies the loss of a sample by the weight of its class, so that rare classes
    count as much as others. "focal" multiplies it by (1 - p) ** 2, where p is the probability of
    the true class: Lin, Goyal, Girshick, He and Dollar, "Focal Loss for Dense Object Detection",
    ICCV 2017, https://doi.org/10.1109/ICCV.2017.324.

    Attributes:
        name: of `LOSSES`.
        weights: of each class, for "weighted".
    """

    name: str = "cross_entropy"
    weights: tuple[float, ...] = ()

    @classmethod
    def of_training(cls, name: str, counts: Sequence[int] | np.ndarray) -> "ClassLoss":
        """The loss of that name for so many training samples of each class."""
        return cls(name, balancing_weights(counts) if name == "weighted" else ())

    def __call__(self, logits: jax.Array, labels: jax.Array) -> jax.Array:
        """The loss of each sample.

        Args:
            logits: float32 [m, C].
            labels: class indexes, int32 [m].

        Returns:
            float32 [m].
        """
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        if self.name == "weighted":
            return jnp.float32(self.weights)[labels] * losses
        if self.name == "focal":
            return (1 - jnp.exp(-losses)) ** FOCUS * losses
        return losses


def balancing_weights(counts: Sequence[int] | np.ndarray) -> tuple[float, ...]:
    """Weights by which all classes count alike, and the mean weight of a sample is 1.

    Args:
        counts: training samples of each class; a class without any has the weight 1.
    """
    numbers = np.asarray(counts, np.float64)
    present = numbers > 0
    weights = numbers.sum() / (present.sum() * np.where(present, numbers, 1))
    return tuple(np.where(present, weights, 1.0).tolist())
