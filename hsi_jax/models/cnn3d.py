"""The spectral-spatial 3-D network of Ben Hamida et al. (2018)."""

from typing import ClassVar

import jax
from einops import rearrange
from flax import linen as nn

from hsi_jax.models.normalization import DType
from hsi_jax.models.patch_layers import PATCH_LAYERS, Layers


class CNN3D(nn.Module):
    """3-D convolutions, with strided convolutions along the spectrum in place of pooling.

    Ben Hamida, Benoit, Lambert and Ben Amar, "3-D Deep Learning Approach for Remote Sensing Image
    Classification", IEEE TGRS 56 (2018), https://doi.org/10.1109/TGRS.2018.2818945; the variant
    with 5x5 patches, two pooling layers and 20/35 features.
    """

    num_classes: int
    features: int = 20
    deep_features: int = 35
    dtype: DType = "float32"

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 5
    default_components: ClassVar[int] = 0
    min_patch_size: ClassVar[int] = 5
    min_bands: ClassVar[int] = 3
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

        def conv(x, features, window, *, stride=1, pad=1):
            padding = ((pad, pad), (0, 0), (0, 0))
            strides = (stride, 1, 1)
            return nn.Conv(
                features,
                window,
                strides,
                padding,
                dtype=self.dtype,
                conv_general_dilated=layers.convolve,
            )(x)

        x = rearrange(patches, "n h w bands -> n bands h w 1")
        x = nn.relu(conv(x, self.features, (3, 3, 3), pad=0))
        x = nn.relu(conv(x, self.features, (3, 1, 1), stride=2))
        x = nn.relu(conv(x, self.deep_features, (3, 3, 3)))
        x = nn.relu(conv(x, self.deep_features, (3, 1, 1), stride=2))
        x = nn.relu(conv(x, self.deep_features, (3, 1, 1)))
        x = nn.relu(conv(x, self.deep_features, (2, 1, 1), stride=2))
        x = layers.flatten(x)  # [b, (p - 2) ** 2 * bands left * c]
        return nn.Dense(self.num_classes)(x)
