"""HybridSN: 3-D convolutions for the spectrum, then a 2-D one for space."""

from collections.abc import Sequence
from typing import ClassVar

import jax
from einops import rearrange
from flax import linen as nn

from hsi_jax.models.normalization import DType
from hsi_jax.models.patch_layers import PATCH_LAYERS, Layers


class HybridSN(nn.Module):
    """Three 3-D convolutions, one 2-D convolution and two dense layers with dropout.

    Roy, Krishna, Dubey and Chaudhuri, "HybridSN: Exploring 3-D-2-D CNN Feature Hierarchy for
    Hyperspectral Image Classification", IEEE GRSL 17 (2020),
    https://doi.org/10.1109/LGRS.2019.2918719. The paper takes 25x25 patches of 15 or 30 principal
    components.
    """

    num_classes: int
    features: Sequence[int] = (8, 16, 32)
    flat_features: int = 64
    hidden: Sequence[int] = (256, 128)
    dropout: float = 0.4
    dtype: DType = "float32"

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 25
    default_components: ClassVar[int] = 30
    min_patch_size: ClassVar[int] = 9
    min_bands: ClassVar[int] = 13
    one_pass: ClassVar[bool] = True

    @nn.compact
    def __call__(
        self,
        patches: jax.Array,
        *,
        train: bool = False,
        mask: jax.Array | None = None,
        layers: Layers = PATCH_LAYERS,
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands] to logits [batch, classes]."""

        def conv(x, features, window):
            return nn.Conv(
                features,
                window,
                padding="VALID",
                dtype=self.dtype,
                conv_general_dilated=layers.convolve,
            )(x)

        x = rearrange(patches, "n h w bands -> n bands h w 1")
        for features, depth in zip(self.features, (7, 5, 3), strict=True):
            x = nn.relu(conv(x, features, (depth, 3, 3)))
        x = rearrange(x, "n bands h w c -> n h w (bands c)")  # [b, p - 6, p - 6, bands * c]
        x = nn.relu(conv(x, self.flat_features, (3, 3)))
        x = layers.flatten(x)  # [b, (p - 8) ** 2 * c]
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes)(x)
