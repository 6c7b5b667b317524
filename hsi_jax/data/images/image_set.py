"""A set of labelled images of one size, each read when it is needed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hsi_jax.data.scene.fill_values import find_fill_values
from hsi_jax.data.scene.read_options import format_value
from hsi_jax.data.splits.split import Split
from hsi_jax.errors import InputError

_BYTE = np.dtype(np.uint8)
_CHUNK = 256  # images in memory at a time

_LOOKED_AT = 64  # images in which values that look like "no data" are searched


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images; image i is sample id i.

    Attributes:
        name: short name, used in file names and log lines.
        labels: int32 [n], class index 0..C-1, or -1 where an image is unlabelled; no class empty.
        class_names: C names.
        shape: (rows, columns, channels) of every image; a channel is a band.
        read_image: reads and decodes image i, of this shape and dtype; any thread may call it.
        source: where the images come from.
        note: what a reader of results on this set has to know, or "".
        official: the split that comes with the set, or None.
        dtype: of the images, whole or real numbers.
        read_names: gives the file name of each image; None where they are not known.

    Raises:
        InputError: if there are fewer than two classes, or if a class has no image.
    """

    name: str
    labels: np.ndarray
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    read_image: Callable[[int], np.ndarray]
    source: str
    note: str = ""
    official: Split | None = None
    dtype: np.dtype = _BYTE
    read_names: Callable[[], Sequence[str]] | None = None

    def __post_init__(self):
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.class_names))
        if len(counts) < 2:
            raise InputError(
                f"{self.source} has {len(counts)} class(es); a classifier needs at least two."
            )
        empty = [self.class_names[k] for k in np.flatnonzero(counts == 0)]
        if empty:
            raise InputError(
                f"{self.source} has no image of {', '.join(empty)}; add some, or remove the class."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return len(self.class_names)

    def read(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Reads images.

        Args:
            ids: int [k], sample ids 0..n-1 in any order.

        Returns:
            [k, rows, columns, channels], of the set's dtype.

        Raises:
            InputError: if an image is damaged or of another size or dtype.
        """
        images = np.empty((len(ids), *self.shape), self.dtype)
        for row, i in enumerate(np.asarray(ids).tolist()):
            image = self.read_image(i)
            if image.shape != self.shape:
                raise InputError(
                    f"Image {i} of {self.source} has shape {image.shape}, the others have "
                    f"{self.shape}; give `image_size` to resize all of them."
                )
            if image.dtype != self.dtype:
                raise InputError(
                    f"Image {i} of {self.source} has values of type {image.dtype}, the others of "
                    f"{self.dtype}; give all of one type."
                )
            images[row] = image
        return images


class Images(Protocol):
    """What can be read like an image set, for example a DecodedCache of one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, channels) of every image."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of every image."""
        ...

    def read(self, ids: np.ndarray) -> np.ndarray:
        """Reads images, [k, rows, columns, channels]."""
        ...


def channel_statistics(
    images: Images, ids: np.ndarray, sample: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, for normalising.

    The sums over images are exact, so the order of the images does not matter; nor does the
    machine for images of 8 or 16 bits.

    Args:
        images: an image set, or a DecodedCache of one.
        ids: int [k], the images to use: those that train, and no others.
        sample: use only this many of them, drawn at random; None uses all.
        seed: seed of the draw, 0 or more.

    Returns:
        Two float64 [channels], in the unit of the images. The deviation of a constant channel is
        1, so that normalising only centres it.

    Raises:
        InputError: if there are no ids, if sample is below 1, or if values are not finite.
    """
    if len(ids) == 0:
        raise InputError(
            "There are no training images to compute statistics from; give a split with some."
        )
    if sample is not None and sample < 1:
        raise InputError(f"`sample`={sample}: give 1 or more images")
    if sample is not None and sample < len(ids):
        rng = np.random.Generator(np.random.PCG64(seed))
        ids = np.sort(rng.choice(ids, sample, replace=False))
    total, squares, origin = _sums(images, ids)
    count = len(ids) * images.shape[0] * images.shape[1]
    variance = [
        (count * square - first * first) / count**2  # in Python's integers: no cancellation
        for first, square in zip(total, squares, strict=True)
    ]
    deviation = np.sqrt(np.maximum(variance, 0.0))
    mean = origin + np.array([first / count for first in total])
    if not np.isfinite([mean, deviation]).all():
        raise InputError(
            "The images have values that are not finite numbers, or are too large to be squared."
        )
    return mean, np.where(deviation == 0, 1.0, deviation)


def _sums(images: Images, ids: np.ndarray) -> tuple[list, list, np.ndarray]:
    """Sum of the pixels of each channel, and of their squares, each less the origin, which is 3rd.

    Of images of 8 or 16 bits these are whole numbers, and the origin is 0. Of others it is the mean
    of one image, so that squares do not cancel, and the sums are those of `math.fsum`.
    """
    small = images.dtype.kind in "iu" and images.dtype.itemsize <= 2
    dtype = np.int64 if small else np.float64  # the squares of one image fit
    channels = images.shape[-1]
    origin = np.zeros(channels, dtype)
    if not small:
        origin = images.read(np.min(ids, keepdims=True)).astype(dtype).mean(axis=(0, 1, 2))
    sums = []
    for start in range(0, len(ids), _CHUNK):
        for image in images.read(ids[start : start + _CHUNK]):
            pixels = image.reshape(-1, channels).astype(dtype) - origin
            sums.append((pixels.sum(axis=0), np.square(pixels).sum(axis=0)))
    add = sum if small else math.fsum
    total, squares = (
        [add(part[k][channel].item() for part in sums) for channel in range(channels)]
        for k in range(2)
    )
    return total, squares, origin


def name_fill_values(images: Images, ids: np.ndarray) -> str:
    """A sentence on values that would spoil the normalisation, or "".

    Images of 8 bits, which have no room for such values, and of one band are not looked at.

    Args:
        images: an image set, or a DecodedCache of one.
        ids: of the images that train, int [k], of which some are read.
    """
    if images.dtype == np.uint8 or images.shape[-1] == 1 or not len(ids):
        return ""
    some = ids[np.linspace(0, len(ids) - 1, min(_LOOKED_AT, len(ids))).astype(int)]
    pixels = images.read(some)
    cube = pixels.reshape(-1, *pixels.shape[2:])  # one image below the other
    found = find_fill_values(cube, np.asarray(np.isfinite(cube).all(-1)), None)
    values = [format_value(fill.value) for fill in found if fill.spoils]
    if not values:
        return ""
    return (
        f"Of {len(some)} training images that were looked at, some hold {', '.join(values)}, far "
        f"outside the other values: this looks like 'no data', but is taken as data, and spoils "
        f"the normalisation; replace it, for example by the mean of its band."
    )
