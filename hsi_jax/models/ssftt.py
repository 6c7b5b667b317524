"""SSFTT: convolutions make a few tokens of a patch, and a transformer reads them."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.kernels.convolution import convolve
from hsi_jax.models.normalization import batch_norm
from hsi_jax.models.transformer import Block, check_heads


class SSFTT(nn.Module):
    """A 3-D and a 2-D convolution, a tokeniser and one transformer block.

    Sun, Zhao, Zheng and Wu, "Spectral-Spatial Feature Tokenization Transformer for Hyperspectral
    Image Classification", IEEE TGRS 60 (2022), https://doi.org/10.1109/TGRS.2022.3144158, layer
    for layer as in the authors' code (https://github.com/zgr6010/HSI_SSFTT): 13x13 patches of 30
    principal components. As there, attention is scaled by the whole width, not by that of a head.
    """

    num_classes: int
    features: int = 8
    flat_features: int = 64
    tokens: int = 4
    width: int = 64
    depth: int = 1
    heads: int = 8
    hidden: int = 8
    dropout: float = 0.1

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 13
    default_components: ClassVar[int] = 30
    min_patch_size: ClassVar[int] = 5
    min_bands: ClassVar[int] = 3

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands], mask [batch], to logits [batch, classes]."""
        check_heads(self.width, self.heads)

        def conv_norm(x, features, window):
            x = nn.Conv(features, window, padding="VALID", conv_general_dilated=convolve)(x)
            return nn.relu(batch_norm(x, train=train, mask=mask))

        x = rearrange(patches, "n h w bands -> n bands h w 1")
        x = rearrange(conv_norm(x, self.features, (3, 3, 3)), "n bands h w c -> n h w (c bands)")
        x = conv_norm(x, self.flat_features, (3, 3))  # [b, p - 4, p - 4, c]
        x = self._read(self._tokenise(rearrange(x, "n h w c -> n (h w) c")), train)
        return nn.Dense(self.num_classes, kernel_init=nn.initializers.xavier_uniform())(x)

    def _tokenise(self, pixels: jax.Array) -> jax.Array:
        """Weighted means over the pixels, [n, pixels, features] to [n, tokens, width]."""
        xavier = nn.initializers.xavier_normal()
        features = pixels.shape[-1]
        weigh = self.param("token_weights", xavier, (features, self.tokens))
        embed = self.param("token_values", xavier, (features, self.width))
        weights = nn.softmax(pixels @ weigh, axis=1)  # over the pixels, [b, pixels, tokens]
        return jnp.einsum("npt,npw->ntw", weights, pixels @ embed)

    def _read(self, tokens: jax.Array, train: bool) -> jax.Array:
        """What the transformer makes of the tokens, [n, tokens, width] to [n, width]."""
        first = self.param("class_token", nn.initializers.zeros, (1, 1, self.width))
        place = self.param(
            "places", nn.initializers.normal(0.02), (1, tokens.shape[1] + 1, self.width)
        )
        first = jnp.broadcast_to(first, (tokens.shape[0], 1, self.width))
        x = jnp.concatenate([first, tokens], axis=1) + place
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for _ in range(self.depth):
            x = Block(
                heads=self.heads,
                head_width=self.width // self.heads,
                scale=self.width**-0.5,
                hidden=self.hidden,
                dropout=self.dropout,
            )(x, train)
        return x[:, 0]
