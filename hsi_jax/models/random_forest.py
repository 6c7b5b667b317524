"""A random forest, as arrays that scikit-learn has found."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

_MIN_PROBABILITY = 1e-7  # whose logarithm is still a number


class RandomForest(nn.Module):
    """Decision trees, each grown on a random part of the samples; their leaves are averaged.

    Breiman, "Random Forests", Machine Learning 45 (2001), https://doi.org/10.1023/A:1010933404324.
    The logits are the logarithms of the probabilities of scikit-learn's `RandomForestClassifier`.

    Attributes:
        num_classes: C.
        trees: that are grown.
        nodes: of the largest tree, which the fit finds.
        depth: of the deepest tree, which the fit finds.
    """

    num_classes: int
    trees: int = 200
    nodes: int = 1
    depth: int = 1

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 1
    default_components: ClassVar[int] = 0
    trained_by_gradient: ClassVar[bool] = False
    found_by_fit: ClassVar[tuple[str, ...]] = ("nodes", "depth")

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands] to logits [batch, classes]."""
        x = patches.reshape(patches.shape[0], -1)
        shape = (self.trees, self.nodes)
        feature, threshold, low, high = (
            self.param(name, _zeros, shape, dtype)
            for name, dtype in (
                ("feature", jnp.int32),
                ("threshold", jnp.float32),
                ("low", jnp.int32),  # the node where the feature is at most the threshold
                ("high", jnp.int32),  # else; a leaf leads to itself
            )
        )
        parts = self.param("parts", _zeros, (*shape, self.num_classes), jnp.float32)
        tree = jnp.arange(self.trees)

        def descend(_, node):
            value = jnp.take_along_axis(x, feature[tree, node], axis=1)
            is_low = value <= threshold[tree, node]
            return jnp.where(is_low, low[tree, node], high[tree, node])

        first = jnp.zeros((x.shape[0], self.trees), jnp.int32)
        leaf = jax.lax.fori_loop(0, self.depth, descend, first)
        return jnp.log(jnp.maximum(parts[tree, leaf].mean(axis=1), _MIN_PROBABILITY))


def _zeros(key, shape, dtype):
    return jnp.zeros(shape, dtype)
