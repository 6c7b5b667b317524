"""A multilayer perceptron on the spectrum of one pixel, or on a whole patch."""

from collections.abc import Sequence
from typing import ClassVar

import jax
from einops import rearrange
from flax import linen as nn


class MLP(nn.Module):
    """Dense layers with ReLU and dropout.

    The spectral baseline of Paoletti, Haut, Plaza and Plaza, "Deep learning classifiers for
    hyperspectral imaging: A review", ISPRS J. Photogramm. Remote Sens. 158 (2019),
    https://doi.org/10.1016/j.isprsjprs.2019.09.006, with a second hidden layer and dropout.
    """

    num_classes: int
    hidden: Sequence[int] = (256, 128)
    dropout: float = 0.2

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 1
    default_components: ClassVar[int] = 0
    min_patch_size: ClassVar[int] = 1

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands] to logits [batch, classes]."""
        x = rearrange(patches, "n h w c -> n (h w c)")
        for width in self.hidden:
            x = nn.relu(nn.Dense(width)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes)(x)
