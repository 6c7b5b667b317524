"""A set of labelled images of one size that are read when they are wanted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.split import Split
from hsi_jax.errors import InputError

_CHUNK = 256  # images in memory at a time


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images; image i is sample id i.

    Attributes:
        name: short name, used in file names and log lines.
        labels: int32 [n], class index 0..C-1, or -1 where an image is unlabelled.
        class_names: C names.
        shape: (rows, columns, channels) of every image.
        read_image: reads and decodes image i, uint8 of that shape; any thread may call it.
        source: where the images come from.
        note: what a reader of results on this set has to know, or "".
        official: the split that comes with the set, or None.
    """

    name: str
    labels: np.ndarray
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    read_image: Callable[[int], np.ndarray]
    source: str
    note: str = ""
    official: Split | None = None

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

    def read(self, ids: np.ndarray) -> np.ndarray:
        """Reads images.

        Args:
            ids: int [k], sample ids 0..n-1 in any order.

        Returns:
            uint8 [k, rows, columns, channels].

        Raises:
            InputError: if an image is damaged or of another size.
        """
        images = np.empty((len(ids), *self.shape), np.uint8)
        for row, i in enumerate(np.asarray(ids).tolist()):
            image = self.read_image(i)
            if image.shape != self.shape:
                raise InputError(
                    f"Image {i} of {self.source} has shape {image.shape}, the others have "
                    f"{self.shape}; give an image size, to which all are resized."
                )
            images[row] = image
        return images


def channel_statistics(
    images: ImageSet, ids: np.ndarray, sample: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, to normalise by.

    The sums are whole numbers, so neither the order of the images nor the machine matters.

    Args:
        images: an image set, or a DecodedCache of one.
        ids: [k], the images to look at: those that train, and no others.
        sample: look only at this many of them, drawn at random.
        seed: seed of the draw, 0 or more.

    Returns:
        Two float64 [channels], in the unit of the images, 0..255. The deviation of a channel that
        is constant is 1, so that to normalise only centres it.

    Raises:
        InputError: if there are no ids, or if sample is below 1.
    """
    if len(ids) == 0:
        raise InputError("There are no training images to normalise by; give a split with some.")
    if sample is not None and sample < 1:
        raise InputError(f"A sample of {sample} images is not possible; give 1 or more.")
    if sample is not None and sample < len(ids):
        rng = np.random.Generator(np.random.PCG64(seed))
        ids = np.sort(rng.choice(ids, sample, replace=False))
    channels = images.shape[-1]
    total = np.zeros(channels, np.int64)  # of squares: exact up to 1e14 pixels
    squares = np.zeros(channels, np.int64)
    for start in range(0, len(ids), _CHUNK):
        pixels = images.read(ids[start : start + _CHUNK]).reshape(-1, channels)
        total += pixels.sum(axis=0, dtype=np.int64)
        squares += np.square(pixels, dtype=np.int64).sum(axis=0)
    count = len(ids) * images.shape[0] * images.shape[1]
    variance = [
        (count * square - first * first) / count**2  # in Python's integers: no cancellation
        for first, square in zip(total.tolist(), squares.tolist(), strict=True)
    ]
    deviation = np.sqrt(variance)
    return total / count, np.where(deviation == 0, 1.0, deviation)
