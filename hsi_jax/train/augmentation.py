"""Inputs as the network takes them: normalised, and in training changed at random.

A random change keeps the class of an image and is drawn for each sample by its own key. Patches of
a scene are images here: flips, right angles, noise and dropped bands suit them.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from hsi_jax.errors import InputError
from hsi_jax.train.names import AUGMENTATIONS

NOISE = 0.05  # deviation of "noise", where the inputs' own is about 1
DROPPED = 0.1  # chance of a channel to be dropped by "bands"


@dataclass(frozen=True)
class Preparation:
    """Normalises images, and augments them in training.

    Attributes:
        mean: of each channel, in the unit of the pixels.
        deviation: likewise, above 0.
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
        Names for `augment`, in their order of `AUGMENTATIONS`.

    Raises:
        InputError: for a name that there is not, listing those there are.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in AUGMENTATIONS:
            raise InputError(
                f"`augment`={text}: {name!r} is unknown; choose from {', '.join(AUGMENTATIONS)}"
            )
    return tuple(name for name in AUGMENTATIONS if name in names)


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

    "flip" reverses rows, and columns, each with a chance of one half; "rotate" turns by 0 to 3
    right angles; "crop" adds an eighth of the shorter side, mirrored, on each side and cuts a
    window of the old size anywhere. These move pixels and mix none. "noise" adds a normal number to
    each channel of each pixel, and "bands" sets each channel to 0 with a chance of one tenth, in
    all pixels of the image; 0 is the mean of normalised inputs. What one of them draws does not
    depend on the others.

    Args:
        images: [m, h, w, c]; square for "rotate".
        keys: a key for each image, [m], such as of (seed, step, sample id). They must be of JAX's
            default generator: the bits of "rbg" depend on the batch.
        names: of `AUGMENTATIONS`.

    Returns:
        [m, h, w, c].

    Raises:
        InputError: see `check_augmentation`.
    """
    check_augmentation(names, *images.shape[1:3])
    for number, name in enumerate(AUGMENTATIONS):
        if name in names:
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            images = jax.vmap(_CHANGES[name])(images, own)
    return images


# Under vmap a branch would compute all its cases, so each change is a few selections of two.


def _flip(image, key):
    rows, columns = jax.random.bernoulli(key, shape=(2,))
    image = jnp.where(rows, image[::-1], image)
    return jnp.where(columns, image[:, ::-1], image)


def _rotate(image, key):
    quarter, half = jax.random.bernoulli(key, shape=(2,))
    image = jnp.where(quarter, jnp.rot90(image), image)
    return jnp.where(half, image[::-1, ::-1], image)


def _crop(image, key):
    border = max(1, min(image.shape[:2]) // 8)
    padded = jnp.pad(image, ((border, border), (border, border), (0, 0)), mode="reflect")
    row, column = jax.random.randint(key, (2,), 0, 2 * border + 1)
    return lax.dynamic_slice(padded, (row, column, 0), image.shape)


def _noise(image, key):
    return image + NOISE * jax.random.normal(key, image.shape, image.dtype)


def _drop_bands(image, key):
    kept = jax.random.bernoulli(key, 1 - DROPPED, image.shape[-1:])
    return jnp.where(kept, image, jnp.zeros((), image.dtype))


_CHANGES = {
    "flip": _flip,
    "rotate": _rotate,
    "crop": _crop,
    "noise": _noise,
    "bands": _drop_bands,
}
