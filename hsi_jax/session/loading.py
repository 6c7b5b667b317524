"""From the configuration to the data that a run learns from."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from hsi_jax.cluster.devices import JaxDevice
from hsi_jax.data.images.image_loader import load_image_set
from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.public.image_catalogue import IMAGE_CATALOGUE
from hsi_jax.data.public.tfds_store import cached_scene
from hsi_jax.data.scene.bands import find_rgb_bands
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.scene_file import file_scene, load_scene, with_classes
from hsi_jax.data.scene.synthetic import synthetic_scene
from hsi_jax.data.splits.class_maps import label_by_split
from hsi_jax.data.splits.name_lists import name_list_split
from hsi_jax.data.splits.split import Split, random_split
from hsi_jax.data.splits.table import SplitRequest, find_split
from hsi_jax.data.splits.unlabelled import unlabelled_split
from hsi_jax.data.splits.validation import hold_out
from hsi_jax.errors import InputError
from hsi_jax.session.as_published import deviations
from hsi_jax.session.collection_loading import load_collection
from hsi_jax.session.collection_options import COLLECTION
from hsi_jax.session.data_options import GIVEN
from hsi_jax.session.learning_options import WITHOUT_TEST
from hsi_jax.session.options import RunOptions
from hsi_jax.session.protocols import PROTOCOLS
from hsi_jax.session.resolve import Resolved
from hsi_jax.train import Dataset, image_dataset, scene_dataset

SCENE_FRACTION, HELD_OUT = 0.1, 0.1  # where no flag and no catalogue says otherwise
IMAGE_FRACTION = 0.8


def load_dataset(resolved: Resolved, devices: Sequence[JaxDevice]) -> Dataset:
    """The labelled samples that the options name, ready for these devices.

    Raises:
        InputError: on data that are not there or cannot be used.
    """
    options = resolved.options
    if options.data.dataset == COLLECTION:
        return load_collection(resolved, devices)
    if not options.data.is_image_set:
        return pixels_of(open_scene(options), resolved)
    data = options.data
    images = load_image_set(data.dataset, data.data_dir or None, data.image_size)
    return image_dataset(
        images,
        split_images(options, images),
        model=options.model_name,
        devices=devices,
        augment=resolved.augment,
        feed=data.feed,
        cache_bytes=data.cache_mb * 2**20,
        seed=options.recipe.seed,
    )


def given_dataset(resolved: Resolved, scene: Scene | None, split: Split | None) -> Dataset | None:
    """What is learnt from where a scene, a split or both are given in Python, else None.

    Raises:
        InputError: on data that cannot be used, or if `split` is given for a set of images.
    """
    if scene is None and split is None:
        return None
    if scene is None:
        if resolved.options.data.is_image_set:
            raise InputError("`split` goes with a scene; a set of images is split by its options")
        scene = open_scene(resolved.options)
    return pixels_of(scene, resolved, split)


def pixels_of(scene: Scene, resolved: Resolved, split: Split | None = None) -> Dataset:
    """The labelled pixels of a scene, scaled and cut as the options say.

    Args:
        scene: with labels.
        resolved: the options and what they mean here.
        split: of its labelled pixels; None for the one that the options name.

    Raises:
        InputError: on data that cannot be used.
    """
    options, start = resolved.options, resolved.start
    if options.learning.pretrains:
        return _unlabelled_pixels(scene, resolved, split)
    scene.require_labels()
    if said := deviations(options):
        note = f"{scene.note} As published: {'; '.join(said)}.".strip()
        scene = dataclasses.replace(scene, note=note)
    return scene_dataset(
        scene,
        split or split_scene(options, scene),
        model=options.model_name,
        patch_size=options.model.patch_size,
        components=0 if start else options.data.components,
        augment=resolved.augment,
        fit_on_scene=options.split.as_published,
        adapt=start.adapt if start else None,
    )


def _unlabelled_pixels(scene: Scene, resolved: Resolved, split: Split | None) -> Dataset:
    """The pixels of a scene without their labels, of which a split's test pixels may be hidden."""
    options, without, held_out = resolved.options, None, resolved.options.split.validation_fraction
    if options.learning.pretrain_on == WITHOUT_TEST:
        without = split or split_scene(options, scene)
    seen = unlabelled_split(
        scene.shape,
        options.recipe.seed,
        validation_fraction=HELD_OUT if held_out is None else held_out,
        nodata=scene.nodata,
        without=without,
    )
    return scene_dataset(
        dataclasses.replace(scene, labels=None, class_names=(), class_ids=()),
        seen,
        model=options.model_name,
        patch_size=options.model.patch_size,
        components=options.data.components,
        augment=resolved.augment,
        hidden=seen.test if len(seen.test) else None,
    )


def open_scene(options: RunOptions) -> Scene:
    """The scene that the options name, with its classes and bands as its pictures show them."""
    scene = _open_scene(options)
    if options.data.classes:
        scene = with_classes(scene, options.data.classes)
    return dataclasses.replace(scene, rgb_bands=find_rgb_bands(scene, options.data.rgb_bands))


def _open_scene(options: RunOptions) -> Scene:
    if options.data.dataset == "synthetic":
        return synthetic_scene()
    if options.data.dataset == COLLECTION:
        raise InputError("`dataset`=scenes: one scene is needed here; give `dataset`=file")
    if options.data.dataset == GIVEN:
        raise InputError(
            "`dataset`=given: the scene was given to session.run in Python and is in no file; give "
            "it again, or a `cube`"
        )
    if options.data.dataset == "file":
        return file_scene(
            options.path_of("cube"),
            options.path_of("labels") or None,
            cube_variable=options.data.cube_variable or None,
            labels_variable=options.data.labels_variable or None,
            reading=options.data.reading,
            labels_attribute=options.data.labels_attribute or None,
            labels_touched=options.data.labels_touched,
            hold_cube=False,
        )
    if options.data.data_dir:
        scene = load_scene(options.data.dataset, options.data.data_dir, options.data.reading)
    else:
        scene = cached_scene(options.data.dataset, reading=options.data.reading)
    if options.split.protocol and (ids := PROTOCOLS.find(options.split.protocol).class_ids):
        return label_by_split(scene, options.path_of("split"), ids)
    return scene


def split_scene(options: RunOptions, scene: Scene) -> Split:
    """The split that the configuration names, with pixels held out for validation."""
    labels, asked = scene.require_labels(), options.split
    fraction = asked.train_fraction
    if fraction is None and asked.train_per_class is None:
        fraction = SCENE_FRACTION
    path = options.path_of("split")
    if asked.split == "random":
        _check_class_sizes(scene)
    request = SplitRequest(
        labels=labels,
        seed=options.recipe.seed,
        train_fraction=fraction,
        train_per_class=asked.train_per_class,
        small_classes=asked.small_classes,
        guard=options.guard,
        block_size=asked.block_size,
        polygon_ids=scene.polygon_ids,
        path=path,
        nodata=scene.nodata,
        class_names=scene.class_names,
    )
    split = find_split(asked.split, path)(request)
    held_out = asked.validation_fraction
    if held_out is None:  # nothing, where the split has its own validation pixels
        held_out = 0.0 if split.validation.size else HELD_OUT
    return hold_out(split, labels, held_out, options.recipe.seed)


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
        f"`unlabelled`={ids}"
    )


def split_images(options: RunOptions, images: ImageSet) -> Split:
    """The split that the configuration names, with images held out for validation."""
    if options.split.split == "official":
        if images.official is None:
            raise InputError(
                f"`split`=official: {images.name} comes without a split; use `split`=random"
            )
        return images.official
    if options.split.by_lists:
        return _split_by_lists(options, images)
    info = IMAGE_CATALOGUE.get(options.data.dataset)
    fraction, held_out = options.split.train_fraction, options.split.validation_fraction
    if fraction is None and options.split.train_per_class is None:
        fraction = info.train_fraction if info else IMAGE_FRACTION
    if held_out is None:
        held_out = info.validation_fraction if info else HELD_OUT
    split = random_split(
        images.labels,
        options.recipe.seed,
        train_fraction=fraction,
        train_per_class=options.split.train_per_class,
        small_classes=options.split.small_classes,
        class_names=images.class_names,
    )
    return hold_out(split, images.labels, held_out, options.recipe.seed)


def _split_by_lists(options: RunOptions, images: ImageSet) -> Split:
    """The split of lists of names; without a list to validate, images are held out."""
    asked = options.split
    if images.read_names is None:
        raise InputError(f"`split`={asked.split}: the files of {images.name} have no names here")
    split = name_list_split(options.path_of("split"), images.read_names(), images.labels)
    held_out = asked.validation_fraction
    if held_out is None:
        held_out = 0.0 if split.validation.size else HELD_OUT
    return hold_out(split, images.labels, held_out, options.recipe.seed)
