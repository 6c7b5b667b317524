"""A support vector machine with a Gaussian kernel, as arrays that scikit-learn has found."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn


class SVM(nn.Module):
    """One machine for each pair of classes; the class with most votes wins.

    The classical baseline of the field: Melgani and Bruzzone, "Classification of Hyperspectral
    Remote Sensing Images With Support Vector Machines", IEEE TGRS 42 (2004),
    https://doi.org/10.1109/TGRS.2004.831865. The logits are those of scikit-learn's
    `SVC(break_ties=True).decision_function`: votes, and by less than 1/2 how clear they were. So
    the probabilities made of them only order the classes.

    Attributes:
        num_classes: C.
        support: number of support vectors, which the fit finds.
    """

    num_classes: int
    support: int = 1

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 1
    default_components: ClassVar[int] = 0
    trained_by_gradient: ClassVar[bool] = False
    found_by_fit: ClassVar[tuple[str, ...]] = ("support",)
    has_probabilities: ClassVar[bool] = False

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands] to logits [batch, classes]."""
        x = patches.reshape(patches.shape[0], -1)
        zeros, (first, second) = nn.initializers.zeros, _pairs(self.num_classes)
        pairs = len(first)
        vectors = self.param("support_vectors", zeros, (self.support, x.shape[-1]))
        coefficients = self.param("coefficients", zeros, (self.support, pairs))
        intercepts = self.param("intercepts", zeros, (pairs,))
        gamma = self.param("gamma", zeros, ())
        products = jnp.dot(x, vectors.T, precision="highest")
        squares = jnp.square(x).sum(1)[:, None] + jnp.square(vectors).sum(1) - 2 * products
        kernel = jnp.exp(-gamma * jnp.maximum(squares, 0))
        decision = jnp.dot(kernel, coefficients, precision="highest") + intercepts
        won = (decision > 0).astype(x.dtype)
        none = jnp.zeros((x.shape[0], self.num_classes), x.dtype)
        votes = none.at[:, first].add(won).at[:, second].add(1 - won)
        clear = none.at[:, first].add(decision).at[:, second].add(-decision)
        return votes + clear / (3 * (jnp.abs(clear) + 1))


def _pairs(classes: int) -> tuple[jax.Array, jax.Array]:
    """The first and the second class of each pair, as `itertools.combinations` orders them."""
    others = jnp.arange(classes - 1, 0, -1)  # pairs that begin with each class
    count = classes * (classes - 1) // 2
    first = jnp.repeat(jnp.arange(classes - 1), others, total_repeat_length=count)
    before = first * (2 * classes - 1 - first) // 2  # pairs that begin with a smaller class
    return first, jnp.arange(count) - before + first + 1
