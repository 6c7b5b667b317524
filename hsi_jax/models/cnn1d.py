"""The spectral convolutional network of Hu et al. (2015)."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import linen as nn

from hsi_jax.kernels.convolution import convolve
from hsi_jax.kernels.pooling import max_pool


class CNN1D(nn.Module):
    """One convolution along the spectrum, max-pooling and one hidden layer, all with tanh.

    Hu, Huang, Wei, Zhang and Li, "Deep Convolutional Neural Networks for Hyperspectral Image
    Classification", Journal of Sensors (2015), https://doi.org/10.1155/2015/258619. The kernel is
    as long as a ninth of the bands, the pool as a fifth of the kernel, both within the paper's
    range.
    """

    num_classes: int
    features: int = 20
    hidden: int = 100

    kinds: ClassVar[tuple[str, ...]] = ("patch",)
    default_patch_size: ClassVar[int] = 1
    default_components: ClassVar[int] = 0
    min_patch_size: ClassVar[int] = 1
    max_patch_size: ClassVar[int] = 1

    @nn.compact
    def __call__(
        self, patches: jax.Array, *, train: bool = False, mask: jax.Array | None = None
    ) -> jax.Array:
        """Maps patches [batch, 1, 1, bands] to logits [batch, classes]."""
        x = rearrange(patches, "n 1 1 bands -> n bands 1")
        kernel = -(-x.shape[1] // 9)
        pool = -(-kernel // 5)
        x = nn.Conv(self.features, (kernel,), padding="VALID", conv_general_dilated=convolve)(x)
        x = jnp.tanh(max_pool(x, (pool,)))
        x = rearrange(x, "n bands c -> n (bands c)")  # [b, positions * features]
        x = jnp.tanh(nn.Dense(self.hidden)(x))
        return nn.Dense(self.num_classes)(x)
