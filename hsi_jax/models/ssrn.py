"""SSRN: residual blocks along the spectrum, then residual blocks in space."""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.kernels.convolution import convolve
from hsi_jax.models.normalization import DType, batch_norm

_he = nn.initializers.he_normal()


class SSRN(nn.Module):
    """Two spectral and two spatial residual blocks, with batch normalisation throughout.

    Zhong, Li, Luo and Chapman, "Spectral-Spatial Residual Network for Hyperspectral Image
    Classification: A 3-D Deep Learning Framework", IEEE TGRS 56 (2018),
    https://doi.org/10.1109/TGRS.2017.2755542: 7x7 patches of all bands. In a block normalisation
    and ReLU come before each convolution, as in the paper's equations and the authors' code
    (https://github.com/zilongzhong/SSRN); the first one has them before it anyway.
    """

    num_classes: int
    features: int = 24
    spectral_features: int = 128
    dropout: float = 0.5
    dtype: DType = "float32"

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 7
    default_components: ClassVar[int] = 0
    min_patch_size: ClassVar[int] = 3
    min_bands: ClassVar[int] = 7

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, p, p, bands], mask [batch], to logits [batch, classes]."""

        def conv(x, window, features=self.features, *, strides: int | tuple = 1, padding="SAME"):
            return nn.Conv(
                features,
                window,
                strides,
                padding,
                dtype=self.dtype,
                kernel_init=_he,
                conv_general_dilated=convolve,
            )(x)

        def norm_relu(x):
            x = batch_norm(x, train=train, mask=mask, epsilon=1e-3, dtype=self.dtype)
            return nn.relu(x)

        def blocks(x, window):
            for _ in range(2):
                x = x + _chain(x, norm_relu, lambda y: conv(y, window))
            return norm_relu(x)

        x = rearrange(patches, "n h w bands -> n bands h w 1")
        x = conv(x, (7, 1, 1), strides=(2, 1, 1), padding="VALID")
        x = blocks(x, (7, 1, 1))  # [b, bands left, p, p, c]
        x = conv(x, (x.shape[1], 1, 1), self.spectral_features, padding="VALID")
        x = rearrange(norm_relu(x), "n 1 h w c -> n h w c")
        x = conv(x, (3, 3), padding="VALID")
        x = blocks(x, (3, 3))  # [b, p - 2, p - 2, c]
        x = nn.Dropout(self.dropout, deterministic=not train)(x.mean((1, 2), dtype=jnp.float32))
        return nn.Dense(self.num_classes, kernel_init=_he)(x)


def _chain(x: jax.Array, norm_relu: Callable, conv: Callable) -> jax.Array:
    """The residual of a block: twice normalisation, ReLU and convolution."""
    return conv(norm_relu(conv(norm_relu(x))))
