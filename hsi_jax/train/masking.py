"""What a masked autoencoder does not see of a patch: some bands everywhere, and some pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsi_jax.errors import InputError
from hsi_jax.options import check_options, option

if TYPE_CHECKING:  # the defaults are told without waiting for JAX
    import jax


@dataclass(frozen=True)
class Masking:
    """How much of each patch is hidden; by default three quarters of its values, as He et al. do.

    A value is hidden if its band is, or its pixel is. Hidden values are 0, the mean.

    Raises:
        InputError: on a value that cannot be used.
    """

    mask_bands: float = option(
        0.5,
        "with `task`=pretrain: part of the groups of bands that is hidden in all pixels of a patch",
        at_least=0,
        below=1,
    )
    mask_pixels: float = option(
        0.5,
        "with `task`=pretrain: part of the pixels of a patch that is hidden in all bands; with the "
        "default of both, three quarters of all values are",
        at_least=0,
        below=1,
    )
    mask_group: int = option(
        8,
        "with `task`=pretrain: neighbouring bands that are hidden together, because one alone "
        "could be told from those beside it",
        at_least=1,
    )

    def __post_init__(self):
        check_options(self)

    def counts(self, shape: Sequence[int]) -> tuple[int, int]:
        """Groups of bands, and pixels, that are hidden in each patch.

        Args:
            shape: of a patch: p, p and channels.

        Raises:
            InputError: if that is nothing.
        """
        rows, columns, channels = shape
        groups, pixels = -(-channels // self.mask_group), rows * columns
        hidden = int(self.mask_bands * groups), int(self.mask_pixels * pixels)
        if not any(hidden):
            raise InputError(
                f"`mask_bands`={self.mask_bands:g} of {groups} groups of {self.mask_group} bands "
                f"and `mask_pixels`={self.mask_pixels:g} of {pixels} pixels hide nothing; raise "
                f"one of them, or lower `mask_group`"
            )
        return hidden

    def draw(self, key: "jax.Array", shape: Sequence[int]) -> "jax.Array":
        """Which values of a patch are hidden, bool [p, p, channels]; a function of the key alone.

        Args:
            key: of the sample in its step.
            shape: as of `counts`.
        """
        import jax
        import jax.numpy as jnp

        rows, columns, channels = shape
        groups, pixels = self.counts(shape)
        of_bands, of_pixels = jax.random.split(key)
        order = jax.random.permutation(of_bands, -(-channels // self.mask_group))
        bands = jnp.repeat(order < groups, self.mask_group)[:channels]
        order = jax.random.permutation(of_pixels, rows * columns)
        return bands | (order < pixels).reshape(rows, columns, 1)
