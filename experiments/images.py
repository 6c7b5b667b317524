"""From the configuration to the images of a set."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from experiments.config import Config
from experiments.dataset import Dataset
from hsi_jax.data.decoded_cache import DecodedCache
from hsi_jax.data.image_catalogue import IMAGE_CATALOGUE
from hsi_jax.data.image_loader import load_image_set
from hsi_jax.data.image_set import ImageSet, channel_statistics
from hsi_jax.data.split import Split, hold_out, random_split
from hsi_jax.errors import InputError
from hsi_jax.models import check_input
from hsi_jax.train import Samples, Stream
from hsi_jax.train.augmentation import check_augmentation, parse_augmentation
from hsi_jax.train.preparation import Preparation
from hsi_jax.train.residence import fits_on_devices

NORMALISED_BY = 2000  # training images, drawn at random
CHUNK = 256  # images that a thread reads at a time


def image_dataset(config: Config, devices: Sequence[jax.Device]) -> Dataset:
    """The images that the configuration names.

    Args:
        config: of the run.
        devices: that the samples are for.

    Raises:
        InputError: on a mistake of the user's.
    """
    images = load_image_set(config.dataset, config.data_dir or None, config.image_size)
    split = _make_split(config, images)
    rows, columns, channels = images.shape
    check_input(config.model_name, min(rows, columns), channels, kind="image")
    augmentations = parse_augmentation(config.augment)
    check_augmentation(augmentations, rows, columns)
    cache = DecodedCache(images, config.cache_mb * 2**20)
    mean, deviation = channel_statistics(cache, split.train, NORMALISED_BY, config.seed)
    return Dataset(
        name=images.name,
        note=images.note,
        class_names=images.class_names,
        class_ids=tuple(range(images.num_classes)),
        labels=images.labels,
        split=split,
        samples=_make_samples(config.feed, cache, devices),
        input_shape=images.shape,
        prepare=Preparation(tuple(mean.tolist()), tuple(deviation.tolist()), augmentations),
        images=images,
    )


def _make_split(config: Config, images: ImageSet) -> Split:
    """The split that the configuration names, with images held out for validation."""
    if config.split == "official":
        if images.official is None:
            raise InputError(
                f"--split=official: {images.name} comes without a split; use --split=random"
            )
        return images.official
    info = IMAGE_CATALOGUE.get(config.dataset)
    fraction, held_out = config.train_fraction, config.validation_fraction
    if fraction is None and config.train_per_class is None:
        fraction = info.train_fraction if info else 0.8
    if held_out is None:
        held_out = info.validation_fraction if info else 0.1
    split = random_split(
        images.labels,
        config.seed,
        fraction,
        config.train_per_class,
        config.small_classes,
        images.class_names,
    )
    return hold_out(split, images.labels, held_out, config.seed)


def _make_samples(
    feed: str, cache: DecodedCache, devices: Sequence[jax.Device]
) -> Samples | Stream:
    """Resident samples where they fit, or as the configuration says."""
    images = cache.images
    num_bytes = len(images) * int(np.prod(images.shape))
    if feed == "resident" or (feed == "auto" and fits_on_devices(num_bytes, devices)):
        return Samples((_read_all(cache), images.labels))
    return Stream(lambda ids: (cache.read(ids), images.labels[ids]))


def _read_all(cache: DecodedCache) -> np.ndarray:
    """All images, uint8 [n, rows, columns, channels]."""
    images = cache.images
    pixels = np.empty((len(images), *images.shape), np.uint8)

    def read(start):
        pixels[start : start + CHUNK] = cache.read(np.arange(start, len(images))[:CHUNK])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(read, range(0, len(images), CHUNK)))
    return pixels
