"""ViT: a plain transformer whose tokens are the pixels of a patch."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.models.transformer import NORM_EPSILON, Block, check_heads


class ViT(nn.Module):
    """One token for each pixel, of its whole spectrum, a class token, and equal blocks.

    Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at
    Scale", ICLR 2021, https://arxiv.org/abs/2010.11929, with pixels for its pieces of an image, and
    small, because a patch has few pixels: each block attends to all of them, then widens each token
    fourfold.
    """

    num_classes: int
    width: int = 64
    depth: int = 4
    heads: int = 4
    dropout: float = 0.1

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 7

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands] to logits [batch, classes]."""
        check_heads(self.width, self.heads)
        normal = nn.initializers.normal(0.02)
        x = nn.Dense(self.width, name="embed")(rearrange(patches, "n h w bands -> n (h w) bands"))
        first = self.param("class_token", nn.initializers.zeros, (1, 1, self.width))
        first = jnp.broadcast_to(first, (x.shape[0], 1, self.width))
        place = self.param("places", normal, (1, x.shape[1] + 1, self.width))
        x = jnp.concatenate([first, x], axis=1) + place  # [b, 1 + pixels, width]
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        head_width = self.width // self.heads
        for _ in range(self.depth):
            x = Block(
                heads=self.heads,
                head_width=head_width,
                scale=head_width**-0.5,
                hidden=4 * self.width,
                dropout=self.dropout,
            )(x, train)
        return nn.Dense(self.num_classes)(nn.LayerNorm(NORM_EPSILON)(x[:, 0]))
