"""The images of a set, normalised and ready for the devices: resident, or streamed."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hsi_jax.cluster.devices import JaxDevice
from hsi_jax.data.images.decoded_cache import DecodedCache, image_bytes
from hsi_jax.data.images.image_set import ImageSet, channel_statistics, name_fill_values
from hsi_jax.data.splits.split import Split
from hsi_jax.models import Model, check_input
from hsi_jax.train.augmentation import Preparation, check_augmentation
from hsi_jax.train.dataset import Dataset
from hsi_jax.train.replicas import fits_on_devices
from hsi_jax.train.samples import Samples, Stream

NORMALISED_BY = 2000  # training images, drawn at random
CHUNK = 256  # images that a thread reads at a time


def image_dataset(
    images: ImageSet,
    split: Split,
    *,
    model: Model,
    devices: Sequence[JaxDevice],
    augment: tuple[str, ...] = (),
    feed: str = "auto",
    cache_bytes: int = 2**31,
    seed: int = 0,
) -> Dataset:
    """The images of a set, normalised by what its training images say.

    Args:
        images: the set.
        split: of its images.
        model: name of the architecture.
        devices: that the samples are for.
        augment: names of `hsi_jax.train.AUGMENTATIONS`.
        feed: "resident" on the devices, "streamed" for each step, or "auto".
        cache_bytes: of decoded images that are kept in memory.
        seed: of the draw of the images that the normalisation is measured on.

    Raises:
        InputError: if the model cannot take such images.
    """
    rows, columns, channels = images.shape
    check_input(model, min(rows, columns), channels, kind="image")
    check_augmentation(augment, rows, columns)
    cache = DecodedCache(images, cache_bytes)
    mean, deviation = channel_statistics(cache, split.train, NORMALISED_BY, seed)
    return Dataset(
        name=images.name,
        note=f"{images.note} {name_fill_values(cache, split.train)}".strip(),
        class_names=images.class_names,
        class_ids=tuple(range(images.num_classes)),
        labels=images.labels,
        split=split,
        samples=_image_samples(feed, cache, devices),
        input_shape=images.shape,
        prepare=Preparation(tuple(mean.tolist()), tuple(deviation.tolist()), augment),
        images=images,
    )


def _image_samples(
    feed: str, cache: DecodedCache, devices: Sequence[JaxDevice]
) -> Samples | Stream:
    """Resident samples where they fit, or as `feed` says."""
    images = cache.images
    num_bytes = len(images) * image_bytes(images)
    if feed == "resident" or (feed == "auto" and fits_on_devices(num_bytes, devices)):
        return Samples((_read_all(cache), images.labels))
    return Stream(lambda ids: (cache.read(ids), images.labels[ids]))


def _read_all(cache: DecodedCache) -> np.ndarray:
    """All images, [n, rows, columns, channels]."""
    images = cache.images
    pixels = np.empty((len(images), *images.shape), images.dtype)

    def read(start):
        pixels[start : start + CHUNK] = cache.read(np.arange(start, len(images))[:CHUNK])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(read, range(0, len(images), CHUNK)))
    return pixels
