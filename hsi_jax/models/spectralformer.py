"""SpectralFormer: a transformer whose tokens are groups of neighbouring bands."""

from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.errors import InputError
from hsi_jax.models.transformer import NORM_EPSILON, Block

Skip = Literal["caf", "none"]

# PyTorch's own, in which the network was published: uniform, variance 1 / (3 fan_in).
_torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class SpectralFormer(nn.Module):
    """One token for each band, made of the patch in that band and its neighbours, and five blocks.

    Hong, Han, Yao, Gao, Zhang, Plaza and Chanussot, "SpectralFormer: Rethinking Hyperspectral Image
    Classification With Transformers", IEEE TGRS 60 (2022),
    https://doi.org/10.1109/TGRS.2021.3130716, layer for layer as in the authors' code
    (https://github.com/danfenghong/IEEE_TGRS_SpectralFormer). Patches of 7x7 are the paper's
    patch-wise network, those of 1x1 the pixel-wise one. The spectrum is closed to a ring, so that
    the first band neighbours the last. From the third block on, cross-layer adaptive fusion mixes
    the tokens with those of two blocks before (skip=caf).
    """

    num_classes: int
    group: int = 3
    width: int = 64
    depth: int = 5
    heads: int = 4
    head_width: int = 16
    hidden: int = 8
    dropout: float = 0.1
    skip: Skip = "caf"

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 7
    default_components: ClassVar[int] = 0

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands] to logits [batch, classes]."""
        x = nn.Dense(self.width, name="embed", kernel_init=_torch_uniform)(self._group(patches))
        normal = nn.initializers.normal(1.0)
        first = self.param("class_token", normal, (1, 1, self.width))
        place = self.param("places", normal, (1, x.shape[1] + 1, self.width))
        first = jnp.broadcast_to(first, (x.shape[0], 1, self.width))
        x = jnp.concatenate([first, x], axis=1) + place  # [b, 1 + bands, width]
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        inputs = []
        for layer in range(self.depth):
            inputs.append(x)
            if self.skip == "caf" and layer >= 2:
                x = _Fusion()(x, inputs[layer - 2])
            x = Block(
                heads=self.heads,
                head_width=self.head_width,
                scale=self.head_width**-0.5,
                hidden=self.hidden,
                bias=False,
                dropout=self.dropout,
            )(x, train)
        x = nn.LayerNorm(NORM_EPSILON)(x[:, 0])  # [b, width], the class token
        return nn.Dense(self.num_classes, kernel_init=_torch_uniform)(x)

    def _group(self, patches: jax.Array) -> jax.Array:
        """Each band with its neighbours, [n, bands, group * p * p]."""
        if self.group % 2 == 0:
            raise InputError(f"`model_options`: group={self.group}; give an odd number of bands")
        reach = self.group // 2
        pixels = rearrange(patches, "n h w bands -> n bands (h w)")
        shifted = [jnp.roll(pixels, -step, axis=1) for step in range(-reach, reach + 1)]
        return jnp.concatenate(shifted, axis=-1)


class _Fusion(nn.Module):
    """Cross-layer adaptive fusion: every token becomes a mixture of all tokens of two layers."""

    @nn.compact
    def __call__(self, tokens: jax.Array, earlier: jax.Array) -> jax.Array:
        both = jnp.concatenate([tokens, earlier], axis=1)
        mixed = nn.Dense(tokens.shape[1], kernel_init=_torch_uniform)(both.swapaxes(1, 2))
        return mixed.swapaxes(1, 2)
