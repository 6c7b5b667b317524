"""A spatial convolutional network with batch normalisation."""

from collections.abc import Sequence
from typing import ClassVar

import jax
from einops import rearrange
from flax import linen as nn

from hsi_jax.models.normalization import BatchNorm, DType
from hsi_jax.models.patch_layers import PATCH_LAYERS, Layers


class CNN2D(nn.Module):
    """3x3 convolutions with batch normalisation, one max-pooling and one hidden layer.

    It follows the 2-D network of Paoletti, Haut, Plaza and Plaza, "Deep learning classifiers for
    hyperspectral imaging: A review", ISPRS J. Photogramm. Remote Sens. 158 (2019),
    https://doi.org/10.1016/j.isprsjprs.2019.09.006, with small kernels and batch normalisation.
    Each microbatch is normalised by the statistics of its own samples, without the padding.
    """

    num_classes: int
    features: Sequence[int] = (64, 64, 128)
    hidden: int = 128
    dtype: DType = "float32"

    kinds: ClassVar[tuple[str, ...]] = ("patch", "image")
    default_patch_size: ClassVar[int] = 11
    default_components: ClassVar[int] = 30
    min_patch_size: ClassVar[int] = 3
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
        """Maps patches [batch, p, p, bands], mask [batch], to logits [batch, classes]."""
        x = patches
        pixel_mask = None if mask is None else rearrange(mask, "n -> n 1 1 1")
        for layer, width in enumerate(self.features):
            x = nn.Conv(
                width,
                (3, 3),
                use_bias=False,
                dtype=self.dtype,
                conv_general_dilated=layers.convolve,
            )(x)
            x = BatchNorm(use_running_average=not train, dtype=self.dtype)(x, mask=pixel_mask)
            x = nn.relu(x)
            if layer == 1:
                x = layers.max_pool(x, (2, 2))
        x = layers.flatten(x)  # [b, (p // 2) ** 2 * c]
        x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype)(x))
        return nn.Dense(self.num_classes)(x)
