"""Residual networks for images."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.models.image_layers import DType, Stem, StemSize, conv, norm


class ResNet(nn.Module):
    """Stages of residual blocks, each but the first halving the side and doubling the width.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    https://arxiv.org/abs/1512.03385. As in torchvision, a bottleneck has its stride in the 3x3
    convolution ("v1.5"), and kernels are initialised as in He et al. (2015). The scale of the last
    normalisation of a block is 0 at first, so that the block is then only its shortcut (Goyal et
    al., "Accurate, Large Minibatch SGD", 2017, https://arxiv.org/abs/1706.02677; torchvision's
    zero_init_residual).

    Attributes:
        depths: blocks of each stage.
        width: features of the first stage (of its 3x3 convolutions).
        stem: see `hsi_jax.models.image_layers.Stem`.
        dtype: of activations.
    """

    num_classes: int
    depths: Sequence[int] = (2, 2, 2, 2)
    width: int = 64
    stem: StemSize = "auto"
    dtype: DType = "float32"

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    min_patch_size: ClassVar[int] = 8
    expansion: ClassVar[int] = 1  # 4 for bottlenecks
    projects: ClassVar[bool] = True  # whether shortcuts that change shape have parameters

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps images [batch, h, w, c], mask [batch], to logits, float32 [batch, classes]."""
        mask = None if mask is None else rearrange(mask, "n -> n 1 1 1")
        x = Stem(self.width, self.stem, self.dtype)(images, train, mask)
        for stage, depth in enumerate(self.depths):
            for index in range(depth):
                block = Block(
                    features=self.width * 2**stage,
                    stride=2 if stage > 0 and index == 0 else 1,
                    expansion=self.expansion,
                    projects=self.projects,
                    dtype=self.dtype,
                )
                x = block(x, train, mask)
        x = x.mean((1, 2), dtype=jnp.float32)
        return nn.Dense(self.num_classes)(x)


class Block(nn.Module):
    """A shortcut around two 3x3 convolutions, or around a bottleneck if `expansion` is above 1."""

    features: int
    stride: int
    expansion: int
    projects: bool
    dtype: DType

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, mask: jax.Array | None) -> jax.Array:
        """Maps [batch, h, w, c] to [batch, h / stride, w / stride, expansion * features]."""
        out = self.features * self.expansion
        layers = [(self.features, 3, self.stride), (out, 3, 1)]
        if self.expansion > 1:
            layers = [(self.features, 1, 1), (self.features, 3, self.stride), (out, 1, 1)]
        y = x
        for layer, (features, window, stride) in enumerate(layers):
            last = layer == len(layers) - 1
            scale_init = nn.initializers.zeros if last else nn.initializers.ones
            y = conv(features, window, stride, self.dtype)(y)
            y = norm(train, self.dtype, scale_init)(y, mask=mask)
            y = y if last else nn.relu(y)
        return nn.relu(y + self._shortcut(x, out, train, mask))

    def _shortcut(self, x, features, train, mask):
        if self.stride == 1 and x.shape[-1] == features:
            return x
        if self.projects:
            x = conv(features, 1, self.stride, self.dtype)(x)
            return norm(train, self.dtype)(x, mask=mask)
        x = x[:, :: self.stride, :: self.stride]
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, features - x.shape[-1])))


class ResNet18(ResNet):
    """18 layers."""


class ResNet34(ResNet):
    """34 layers."""

    depths: Sequence[int] = (3, 4, 6, 3)


class ResNet50(ResNet):
    """50 layers in bottlenecks."""

    depths: Sequence[int] = (3, 4, 6, 3)
    expansion: ClassVar[int] = 4


class ResNet101(ResNet):
    """101 layers in bottlenecks."""

    depths: Sequence[int] = (3, 4, 23, 3)
    expansion: ClassVar[int] = 4


class ResNet20(ResNet):
    """20 layers for images of 32 pixels a side; shortcuts have no parameters (He's option A).

    With stem="medium", images of 64 pixels need a quarter of the time.
    """

    depths: Sequence[int] = (3, 3, 3)
    width: int = 16
    stem: StemSize = "small"
    projects: ClassVar[bool] = False
