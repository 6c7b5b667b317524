"""Decoded images in memory, up to a number of bytes."""

import math
import threading
from collections.abc import Sequence

import numpy as np

from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.errors import InputError


def image_bytes(images: ImageSet) -> int:
    """Bytes of one decoded image of a set."""
    return math.prod(images.shape) * images.dtype.itemsize


class DecodedCache:
    """Reads an image set and keeps the first images that fit.

    An image stays in the cache once it is there. Every epoch reads each image once, in a new
    order, so a cache that is too small for all and keeps the latest images would hardly ever hold
    the next one. This cache always holds the part of the images that it has room for.
    """

    def __init__(self, images: ImageSet, max_bytes: int):
        """Makes an empty cache.

        Args:
            images: the set to read.
            max_bytes: max bytes of pixels to hold, 0 or more.

        Raises:
            InputError: if max_bytes is negative.
        """
        if max_bytes < 0:
            raise InputError(f"`max_bytes`={max_bytes}: give 0 or more")
        self.images = images
        self.capacity = min(len(images), max_bytes // image_bytes(images))
        # The operating system gives this memory page by page, as it is written.
        self._pixels = np.empty((self.capacity, *images.shape), images.dtype)
        self._slot = np.full(len(images), -1)
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of images held so far."""
        return self._held

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, channels) of every image."""
        return self.images.shape

    @property
    def dtype(self) -> np.dtype:
        """Of every image."""
        return self.images.dtype

    def read(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Reads images, as ImageSet.read does; any thread may call it."""
        ids = np.asarray(ids)
        slots = self._slot[ids]
        missing = slots < 0
        if not missing.any():
            return self._pixels[slots]
        pixels = np.empty((len(ids), *self.shape), self.dtype)
        # A slot is entered after its pixels are written, and neither ever changes again.
        pixels[~missing] = self._pixels[slots[~missing]]
        fresh = self.images.read(ids[missing])
        pixels[missing] = fresh
        with self._lock:
            self._keep(ids[missing], fresh)
        return pixels

    def _keep(self, ids: np.ndarray, pixels: np.ndarray) -> None:
        for i, image in zip(ids, pixels, strict=True):
            if self._held == self.capacity:
                return
            if self._slot[i] < 0:  # another thread may have been faster
                self._pixels[self._held] = image
                self._slot[i] = self._held
                self._held += 1
