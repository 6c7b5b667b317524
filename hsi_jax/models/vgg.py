"""The network of Oxford's Visual Geometry Group, for images."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.kernels.pooling import max_pool
from hsi_jax.models.image_layers import DType, conv, norm


class VGG16(nn.Module):
    """Five stages of 3x3 convolutions with batch normalisation, each ending in max-pooling.

    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    ICLR 2015, https://arxiv.org/abs/1409.1556, with the batch normalisation of Ioffe and Szegedy
    (2015) in place of biases.

    Attributes:
        widths: features of each stage.
        head: "pooled" is the mean over the last map and one dense layer. "dense" is as in the
            paper: the last map, whatever its size, and two hidden layers of `hidden` units with
            dropout. With 224 x 224 pixels and 1000 classes the network has 15.2 million
            parameters with the first and 138.4 million with the second.
        hidden: units of each hidden layer of the dense head.
        dropout: in the dense head.
        dtype: of activations.
    """

    num_classes: int
    widths: Sequence[int] = (64, 128, 256, 512, 512)
    head: Literal["pooled", "dense"] = "pooled"
    hidden: int = 4096
    dropout: float = 0.5
    dtype: DType = "float32"

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    min_patch_size: ClassVar[int] = 32
    depths: ClassVar[tuple[int, ...]] = (2, 2, 3, 3, 3)

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps images [batch, h, w, c], mask [batch], to logits, float32 [batch, classes]."""
        mask = None if mask is None else rearrange(mask, "n -> n 1 1 1")
        x = images
        for depth, width in zip(self.depths, self.widths, strict=True):
            for _ in range(depth):
                x = conv(width, 3, dtype=self.dtype)(x)
                x = nn.relu(norm(train, self.dtype)(x, mask=mask))
            x = max_pool(x, (2, 2))
        if self.head == "pooled":
            return nn.Dense(self.num_classes)(x.mean((1, 2), dtype=jnp.float32))
        x = rearrange(x, "n h w c -> n (h w c)")
        for _ in range(2):
            x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes)(x.astype(jnp.float32))
