"""GAHT: a transformer over the pixels of a patch, in stages of grouped convolutions."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.errors import InputError
from hsi_jax.kernels.convolution import convolve
from hsi_jax.models.normalization import batch_norm
from hsi_jax.models.transformer import NORM_EPSILON, Block, check_heads


class GAHT(nn.Module):
    """Three stages, each a 3x3 convolution by groups of channels and transformer blocks.

    Mei, Song, Ma and Xu, "Hyperspectral Image Classification Using Group-Aware Hierarchical
    Transformer", IEEE TGRS 60 (2022), https://doi.org/10.1109/TGRS.2022.3207933, layer for layer as
    in the authors' code (https://github.com/MeiShaohui/Group-Aware-Hierarchical-Transformer).
    Groups and depths are theirs for Houston; for Salinas they take
    "groups=16; depths=(2, 1, 1)", for Pavia University "groups=2". As there, attention is not
    scaled, and the last band is repeated until the groups are equal.
    """

    num_classes: int
    groups: int = 4
    widths: Sequence[int] = (256, 128, 64)
    heads: Sequence[int] = (8, 4, 2)
    depths: Sequence[int] = (1, 2, 1)

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 7
    default_components: ClassVar[int] = 0

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands], mask [batch], to logits [batch, classes]."""
        missing = -patches.shape[-1] % self.groups
        last = jnp.repeat(patches[..., -1:], missing, axis=-1)
        x = jnp.concatenate([patches, last], axis=-1) if missing else patches
        for width, heads, depth in zip(self.widths, self.heads, self.depths, strict=True):
            check_heads(width, heads)
            x = GroupedConv(width, self.groups)(x)
            x = nn.relu(batch_norm(x, train=train, mask=mask))  # [b, h, w, width]
            shape = x.shape
            x = rearrange(x, "n h w c -> n (h w) c")  # [b, h * w, width], a token each pixel
            for _ in range(depth):
                x = Block(heads=heads, head_width=width // heads, scale=1.0, hidden=width)(x, train)
            x = nn.LayerNorm(NORM_EPSILON)(x).reshape(shape)
        return nn.Dense(self.num_classes)(x.mean(axis=(1, 2)))


class GroupedConv(nn.Module):
    """A 3x3 convolution in which each group of outputs sees one group of channels.

    Attributes:
        features: number of outputs.
        groups: that divide channels and outputs.
    """

    features: int
    groups: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [batch, h, w, c] to [batch, h, w, features]."""
        if self.features % self.groups:
            raise InputError(
                f"`model_options`: groups={self.groups} do not divide a width of {self.features}"
            )

        def conv(part):
            return nn.Conv(self.features // self.groups, (3, 3), conv_general_dilated=convolve)(
                part
            )

        return jnp.concatenate([conv(part) for part in jnp.split(x, self.groups, -1)], axis=-1)
