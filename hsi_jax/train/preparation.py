"""From the pixels of images to the inputs of a network."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from hsi_jax.train.augmentation import augment


@dataclass(frozen=True)
class Preparation:
    """Normalises images, and augments them in training.

    Attributes:
        mean: of each channel, in the unit of the pixels.
        deviation: likewise, above 0.
        augmentations: names of `hsi_jax.train.augmentation`.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    augmentations: tuple[str, ...] = ()

    def __call__(self, images: jax.Array, sample_keys: jax.Array | None) -> jax.Array:
        """Maps images, any numbers [m, rows, columns, channels], to float32 of that shape.

        Args:
            images: as they are stored.
            sample_keys: a key for each, [m], or None for no augmentation.
        """
        normal = (images.astype(jnp.float32) - jnp.float32(self.mean)) / jnp.float32(self.deviation)
        if sample_keys is None or not self.augmentations:
            return normal
        return augment(normal, sample_keys, self.augmentations)
