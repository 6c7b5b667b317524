"""From the configuration to the data that a run learns from."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from hsi_jax.data.images.image_loader import load_image_set
from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.public.image_catalogue import IMAGE_CATALOGUE
from hsi_jax.data.public.tfds_scenes import cached_scene
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.scene_file import file_scene, load_scene
from hsi_jax.data.scene.synthetic import synthetic_scene
from hsi_jax.data.splits.class_maps import label_by_split
from hsi_jax.data.splits.split import Split, random_split
from hsi_jax.data.splits.table import SPLITS, SplitRequest
from hsi_jax.data.splits.validation import hold_out
from hsi_jax.errors import InputError
from hsi_jax.session.as_published import deviations
from hsi_jax.session.config import Config
from hsi_jax.session.protocols import find_protocol
from hsi_jax.session.resolve import Resolved
from hsi_jax.train import Dataset, image_dataset, scene_dataset

SCENE_FRACTION, HELD_OUT = 0.1, 0.1  # where no flag and no catalogue says otherwise
IMAGE_FRACTION = 0.8


def load_dataset(resolved: Resolved, devices: Sequence[jax.Device]) -> Dataset:
    """The labelled samples that the configuration names, ready for these devices.

    Raises:
        InputError: on data that are not there or cannot be used.
    """
    config = resolved.config
    if config.is_image_set:
        images = load_image_set(config.dataset, config.data_dir or None, config.image_size)
        return image_dataset(
            images,
            split_images(config, images),
            model=config.model_name,
            devices=devices,
            augment=resolved.augment,
            feed=config.feed,
            cache_bytes=config.cache_mb * 2**20,
            seed=config.seed,
        )
    scene = open_scene(config)
    if said := deviations(config):
        scene = dataclasses.replace(
            scene, note=f"{scene.note} As published: {'; '.join(said)}.".strip()
        )
    return scene_dataset(
        scene,
        split_scene(config, scene),
        model=config.model_name,
        patch_size=config.patch_size,
        components=config.components,
        augment=resolved.augment,
        fit_on_scene=config.as_published,
    )


def open_scene(config: Config) -> Scene:
    """The scene that the configuration names."""
    if config.dataset == "synthetic":
        return synthetic_scene()
    if config.dataset == "file":
        return file_scene(
            config.path_of("cube"),
            config.path_of("labels"),
            config.cube_variable or None,
            config.labels_variable or None,
            config.reading,
            labels_attribute=config.labels_attribute or None,
            labels_touched=config.labels_touched,
            hold_cube=False,
        )
    if config.data_dir:
        scene = load_scene(config.dataset, config.data_dir, config.reading)
    else:
        scene = cached_scene(config.dataset, reading=config.reading)
    if config.protocol and (ids := find_protocol(config.protocol).class_ids):
        return label_by_split(scene, config.path_of("split"), ids)
    return scene


def split_scene(config: Config, scene: Scene) -> Split:
    """The split that the configuration names, with pixels held out for validation."""
    labels = scene.require_labels()
    fraction = config.train_fraction
    if fraction is None and config.train_per_class is None:
        fraction = SCENE_FRACTION
    name = config.split if config.split in SPLITS else "file"
    if name == "random":
        _check_class_sizes(scene)
    request = SplitRequest(
        labels=labels,
        seed=config.seed,
        train_fraction=fraction,
        train_per_class=config.train_per_class,
        small_classes=config.small_classes,
        guard=config.split_guard,
        block_size=config.block_size,
        polygon_ids=scene.polygon_ids,
        path=config.path_of("split"),
        nodata=scene.nodata,
        class_names=scene.class_names,
    )
    split = SPLITS.split(name, request)
    held_out = config.validation_fraction
    if held_out is None:  # nothing, where the split has its own validation pixels
        held_out = 0.0 if split.validation.size else HELD_OUT
    return hold_out(split, labels, held_out, config.seed)


def _check_class_sizes(scene: Scene) -> None:
    """Checks that each class can be divided.

    Raises:
        InputError: that names the ids that have a single pixel, and how to leave them out.
    """
    labels = scene.require_labels()
    counts = np.bincount(labels[labels >= 0], minlength=scene.num_classes)
    single = [scene.class_ids[k] for k in np.flatnonzero(counts == 1)]
    if not single:
        return
    names = ", ".join(scene.class_names[k] for k in np.flatnonzero(counts == 1))
    without = [i for i in scene.unlabelled_counts if i != "nan"]
    ids = ",".join([*without, *map(str, single)])
    raise InputError(
        f"A class needs two labelled pixels, one to train and one to test, but there is a single "
        f"one of {names} (id {', '.join(map(str, single))}); label more, or leave it out by "
        f"--unlabelled={ids}"
    )


def split_images(config: Config, images: ImageSet) -> Split:
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
        fraction = info.train_fraction if info else IMAGE_FRACTION
    if held_out is None:
        held_out = info.validation_fraction if info else HELD_OUT
    split = random_split(
        images.labels,
        config.seed,
        train_fraction=fraction,
        train_per_class=config.train_per_class,
        small_classes=config.small_classes,
        class_names=images.class_names,
    )
    return hold_out(split, images.labels, held_out, config.seed)
