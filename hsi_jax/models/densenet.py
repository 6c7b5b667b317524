"""Densely connected networks for images."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.kernels.pooling import mean_pool
from hsi_jax.models.image_layers import DType, Stem, StemSize, conv, norm


class DenseNet121(nn.Module):
    """Blocks in which every layer sees the outputs of all layers before it.

    Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR
    2017, https://arxiv.org/abs/1608.06993: bottlenecks and compression by half (DenseNet-BC).

    Attributes:
        depths: layers of each block.
        growth: features that each layer adds.
        stem: see `hsi_jax.models.image_layers.Stem`; it has 2 * growth features.
        dtype: of activations.
    """

    num_classes: int
    depths: Sequence[int] = (6, 12, 24, 16)
    growth: int = 32
    stem: StemSize = "auto"
    dtype: DType = "float32"

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    min_patch_size: ClassVar[int] = 8

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps images [batch, h, w, c], mask [batch], to logits, float32 [batch, classes]."""
        mask = None if mask is None else rearrange(mask, "n -> n 1 1 1")

        def activate(x):
            return nn.relu(norm(train, self.dtype)(x, mask=mask))

        x = Stem(2 * self.growth, self.stem, self.dtype)(images, train, mask)  # [b, h, w, c]
        for block, depth in enumerate(self.depths):
            if block > 0:
                x = conv(x.shape[-1] // 2, 1, dtype=self.dtype)(activate(x))
                x = mean_pool(x, (2, 2))
            for _ in range(depth):
                y = conv(4 * self.growth, 1, dtype=self.dtype)(activate(x))
                y = conv(self.growth, 3, dtype=self.dtype)(activate(y))
                x = jnp.concatenate([x, y], axis=-1)  # c grows by `growth`
        x = activate(x).mean((1, 2), dtype=jnp.float32)  # [b, c]
        return nn.Dense(self.num_classes)(x)
