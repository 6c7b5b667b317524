"""The layers that look at several pixels of a patch, apart so that they can be exchanged.

A network that takes them as `layers` runs on patches with those of this file, and on whole tiles
of a scene with those of `hsi_jax.models.tile_layers`.
"""

from typing import Any, Protocol

import jax
from einops import rearrange

from hsi_jax.kernels.convolution import convolve
from hsi_jax.kernels.pooling import max_pool


class Layers(Protocol):
    """What a network needs; everything else that it does must look at each pixel by itself."""

    def convolve(self, lhs: jax.Array, rhs: jax.Array, *args: Any, **kwargs: Any) -> jax.Array:
        """For `nn.Conv(conv_general_dilated=...)`; see `hsi_jax.kernels.convolve`."""
        ...

    def max_pool(
        self, x: jax.Array, window: tuple[int, ...], strides: tuple[int, ...] | None = None
    ) -> jax.Array:
        """See `hsi_jax.kernels.pooling.max_pool`."""
        ...

    def flatten(self, x: jax.Array) -> jax.Array:
        """All numbers of each patch in a row, [n, ...] to [n, numbers]."""
        ...


class PatchLayers:
    """The layers on patches, one by one."""

    convolve = staticmethod(convolve)
    max_pool = staticmethod(max_pool)

    @staticmethod
    def flatten(x: jax.Array) -> jax.Array:
        """All numbers of each patch in a row, [n, ...] to [n, numbers]."""
        return rearrange(x, "n ... -> n (...)")


PATCH_LAYERS = PatchLayers()
