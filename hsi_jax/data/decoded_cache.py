"""Decoded images in memory, up to a bound."""

import threading

import numpy as np

from hsi_jax.data.image_set import ImageSet
from hsi_jax.errors import InputError


class DecodedCache:
    """Reads an image set and keeps the first images that fit.

    It never drops one: every epoch visits each image once, in a new order, so that a cache which
    keeps the latest images instead would hardly ever have the next one when it is too small. This
    one has the part of the images that it has room for.
    """

    def __init__(self, images: ImageSet, max_bytes: int):
        """Makes an empty cache.

        Args:
            images: the set to read.
            max_bytes: most bytes of pixels to hold, 0 or more.

        Raises:
            InputError: if max_bytes is negative.
        """
        if max_bytes < 0:
            raise InputError(f"A cache of {max_bytes} bytes is not possible; give 0 or more.")
        self.images = images
        self.capacity = min(len(images), max_bytes // int(np.prod(images.shape)))
        # The system hands out this memory page by page as it is written.
        self._pixels = np.empty((self.capacity, *images.shape), np.uint8)
        self._slot = np.full(len(images), -1)
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Images held so far."""
        return self._held

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, channels) of every image."""
        return self.images.shape

    def read(self, ids: np.ndarray) -> np.ndarray:
        """Reads images, as ImageSet.read does; any thread may call it."""
        ids = np.asarray(ids)
        slots = self._slot[ids]
        missing = slots < 0
        if not missing.any():
            return self._pixels[slots]
        pixels = np.empty((len(ids), *self.shape), np.uint8)
        # A slot is published after its pixels are written, and neither ever changes again.
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
