"""DBDA: a spectral and a spatial branch, each a dense block with its own attention."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.kernels.convolution import convolve
from hsi_jax.models.normalization import batch_norm


class DBDA(nn.Module):
    """Dense blocks along the spectrum and in space, attention of channels and of positions.

    Li, Zheng, Duan, Yang and Wang, "Classification of Hyperspectral Image Based on Double-Branch
    Dual-Attention Mechanism Network", Remote Sensing 12 (2020), https://doi.org/10.3390/rs12030582,
    layer for layer as in the authors' code
    (https://github.com/lironui/Double-Branch-Dual-Attention-Mechanism-Network): 9x9 patches of all
    bands, Mish.
    """

    num_classes: int
    features: int = 24
    growth: int = 12
    dropout: float = 0.5

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 9
    default_components: ClassVar[int] = 0
    min_bands: ClassVar[int] = 7

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands], mask [batch], to logits [batch, classes]."""

        def conv(x, features, window, strides: int | tuple = 1, *, padding="SAME"):
            return nn.Conv(features, window, strides, padding, conv_general_dilated=convolve)(x)

        def norm_mish(x):
            return jax.nn.mish(batch_norm(x, train=train, mask=mask, epsilon=1e-3))

        def dense_block(x, window):
            for _ in range(3):
                x = jnp.concatenate([x, conv(norm_mish(x), self.growth, window)], axis=-1)
            return x

        def pool(x):
            x = nn.Dropout(self.dropout, deterministic=not train)(norm_mish(x))
            return x.mean(axis=(1, 2))

        x = rearrange(patches, "n h w bands -> n bands h w 1")
        x = conv(x, self.features, (7, 1, 1), (2, 1, 1), padding="VALID")  # [b, d, h, w, c]
        x = norm_mish(dense_block(x, (7, 1, 1)))
        x = conv(x, x.shape[-1], (x.shape[1], 1, 1), padding="VALID")  # [b, 1, h, w, c]
        x = rearrange(x, "n 1 h w c -> n h w c")
        spectral = pool(x * ChannelAttention()(x))  # [b, c]

        x = dense_block(conv(patches, self.features, (1, 1)), (3, 3))
        spatial = pool(x * PositionAttention()(x))  # [b, c]
        return nn.Dense(self.num_classes)(jnp.concatenate([spectral, spatial], axis=-1))


class ChannelAttention(nn.Module):
    """Each channel takes from the channels that are least like it; they are added to the input."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [batch, h, w, c] to the same shape."""
        pixels = rearrange(x, "n h w c -> n (h w) c")
        alike = jnp.einsum("npc,npd->ncd", pixels, pixels)  # [b, c, c]
        weights = nn.softmax(alike.max(axis=-1, keepdims=True) - alike)
        taken = jnp.einsum("ncd,npd->npc", weights, pixels).reshape(x.shape)
        return self.param("gamma", nn.initializers.zeros, (1,)) * taken + x


class PositionAttention(nn.Module):
    """Each position takes from the positions that are like it; they are added to the input."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [batch, h, w, c] to the same shape."""
        pixels = rearrange(x, "n h w c -> n (h w) c")
        channels = x.shape[-1]
        query = nn.Dense(channels // 8, name="query")(pixels)
        key = nn.Dense(channels // 8, name="key")(pixels)
        value = nn.Dense(channels, name="value")(pixels)
        weights = nn.softmax(jnp.einsum("npk,nqk->npq", query, key))  # [b, h * w, h * w]
        taken = jnp.einsum("npq,nqc->npc", weights, value).reshape(x.shape)
        return self.param("gamma", nn.initializers.zeros, (1,)) * taken + x
