"""Layers that the networks for images have in common."""

from typing import Literal

import jax
from flax import linen as nn

from hsi_jax.kernels.convolution import convolve
from hsi_jax.kernels.pooling import max_pool
from hsi_jax.models.normalization import BatchNorm, DType

StemSize = Literal["auto", "small", "medium", "large"]

# He et al. (2015), https://doi.org/10.1109/ICCV.2015.123, by the number of outputs as torchvision.
he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def conv(features: int, window: int, stride: int = 1, dtype: DType = "float32") -> nn.Conv:
    """A convolution without bias, padded equally on all sides as in PyTorch, unlike "SAME"."""
    pad = window // 2
    return nn.Conv(
        features,
        (window, window),
        (stride, stride),
        ((pad, pad), (pad, pad)),
        use_bias=False,
        dtype=dtype,
        kernel_init=he_normal,
        conv_general_dilated=convolve,
    )


def norm(train: bool, dtype: DType, scale_init=nn.initializers.ones) -> BatchNorm:
    """Batch normalisation; call it with the mask of samples, [batch, 1, 1, 1]."""
    return BatchNorm(not train, dtype=dtype, scale_init=scale_init)


class Stem(nn.Module):
    """The first layers of a network for images, by size.

    "small" is a 3x3 convolution of stride 1 and "medium" one of stride 2. "large" is a 7x7
    convolution of stride 2 and 3x3 max-pooling of stride 2, as for ImageNet. "auto" is small where
    the shorter side of the images is below 64 pixels, medium where it is below 128, else large.
    """

    features: int
    size: StemSize = "auto"
    dtype: DType = "float32"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool, mask: jax.Array | None) -> jax.Array:
        """Maps [batch, h, w, c] to [batch, h / r, w / r, features], rounded up; r = 1, 2 or 4."""
        size = self.size if self.size != "auto" else _choose_size(min(images.shape[1:3]))
        window, stride = {"small": (3, 1), "medium": (3, 2), "large": (7, 2)}[size]
        x = conv(self.features, window, stride, self.dtype)(images)
        x = nn.relu(norm(train, self.dtype)(x, mask=mask))
        return max_pool(x, (3, 3), (2, 2), 1) if size == "large" else x


def _choose_size(side: int) -> StemSize:
    return "small" if side < 64 else "medium" if side < 128 else "large"
