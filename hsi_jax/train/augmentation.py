"""Inputs as the network takes them: normalised, and in training changed at random.

A random change keeps the class of an image and is drawn for each sample by its own key. Patches of
a scene are images here: flips, right angles, noise and dropped bands suit them.
"""

import zlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from hsi_jax.errors import InputError
from hsi_jax.train.tables import AUGMENTATIONS

NOISE = 0.05  # deviation of "noise", where the inputs' own is about 1
DROPPED = 0.1  # chance of a channel to be dropped by "bands"


@dataclass(frozen=True)
class Preparation:
    """Normalises images, and augments them in training.

    Attributes:
        mean: of each channel, in the unit of the pixels.
        deviation: of each channel, in the unit of the pixels, above 0.
        augmentations: names of `AUGMENTATIONS`.
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


def parse_augmentation(text: str) -> tuple[str, ...]:
    """Reads names between commas, such as "flip,rotate,crop"; "" is none.

    Returns:
        Names for `augment`: those of `AUGMENTATIONS` in its order, then each package.module:name.

    Raises:
        InputError: for a name that there is not.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        AUGMENTATIONS.check(name)
    listed = [name for name in AUGMENTATIONS if name in names]
    return (*listed, *dict.fromkeys(name for name in names if name not in AUGMENTATIONS))


def check_augmentation(names: tuple[str, ...], height: int, width: int) -> None:
    """Checks that images of this size can be changed so.

    Raises:
        InputError: if images that are not square would be rotated.
    """
    if "rotate" in names and height != width:
        raise InputError(
            f"`augment`={','.join(names)}: images of {height} x {width} pixels cannot be rotated; "
            f"leave out rotate"
        )


def augment(images: jax.Array, keys: jax.Array, names: tuple[str, ...]) -> jax.Array:
    """Changes each image as its key says, whatever the images beside it.

    "flip", "rotate" and "crop" move pixels and mix none; "noise" and "bands" change values. What
    one of them draws does not depend on the others.

    Args:
        images: [m, h, w, c]; square for "rotate".
        keys: a key for each image, [m], such as of (seed, step, sample id). They must be of JAX's
            default generator: the bits of "rbg" depend on the batch.
        names: as `parse_augmentation` returns them.

    Returns:
        [m, h, w, c].

    Raises:
        InputError: see `check_augmentation`.
    """
    check_augmentation(names, *images.shape[1:3])
    numbers = {name: number for number, name in enumerate(AUGMENTATIONS)}
    for name in sorted(names, key=lambda name: numbers.get(name, len(numbers))):
        # A name outside the table has no place there: a digest of it stands for one.
        number = numbers.get(name, zlib.crc32(name.encode()))
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, number)  # [m]
        images = jax.vmap(AUGMENTATIONS.find(name))(images, own)
    return images


# Each change takes an image [h, w, c] and a key. Under vmap a branch would compute all its cases,
# so each is a few selections of two.


def flip(image: jax.Array, key: jax.Array) -> jax.Array:
    """Reverses rows, and columns, each with a chance of one half."""
    rows, columns = jax.random.bernoulli(key, shape=(2,))
    image = jnp.where(rows, image[::-1], image)
    return jnp.where(columns, image[:, ::-1], image)


def rotate(image: jax.Array, key: jax.Array) -> jax.Array:
    """Turns a square image by 0 to 3 right angles."""
    quarter, half = jax.random.bernoulli(key, shape=(2,))
    image = jnp.where(quarter, jnp.rot90(image), image)
    return jnp.where(half, image[::-1, ::-1], image)


def crop(image: jax.Array, key: jax.Array) -> jax.Array:
    """Mirrors an eighth of the shorter side onto each side, and cuts a window anywhere."""
    border = max(1, min(image.shape[:2]) // 8)
    padded = jnp.pad(image, ((border, border), (border, border), (0, 0)), mode="reflect")
    row, column = jax.random.randint(key, (2,), 0, 2 * border + 1)
    return lax.dynamic_slice(padded, (row, column, 0), image.shape)


def noise(image: jax.Array, key: jax.Array) -> jax.Array:
    """Adds a normal number to each channel of each pixel."""
    return image + NOISE * jax.random.normal(key, image.shape, image.dtype)


def bands(image: jax.Array, key: jax.Array) -> jax.Array:
    """Sets each channel to 0, the mean, with a chance of one tenth, in all pixels."""
    kept = jax.random.bernoulli(key, 1 - DROPPED, image.shape[-1:])
    return jnp.where(kept, image, jnp.zeros((), image.dtype))
