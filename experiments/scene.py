"""From the configuration to the pixels of a scene."""

import numpy as np

from experiments.config import Config
from experiments.dataset import Dataset
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene import Scene
from hsi_jax.data.scene_cache import cached_scene
from hsi_jax.data.scene_file import file_scene, load_scene
from hsi_jax.data.split import Split, disjoint_split, file_split, hold_out, random_split
from hsi_jax.data.synthetic import synthetic_scene
from hsi_jax.models import check_input, find_trait
from hsi_jax.train import Patches
from hsi_jax.train.augmentation import parse_augmentation
from hsi_jax.train.preparation import Preparation


def scene_dataset(config: Config) -> Dataset:
    """The pixels of the scene that the configuration names.

    Raises:
        InputError: on a mistake of the user's.
    """
    scene = _load_scene(config)
    split = _make_split(config, scene)
    patches = _make_patches(config, scene, split.train)
    return Dataset(
        name=scene.name,
        note=scene.note,
        class_names=scene.class_names,
        class_ids=scene.class_ids,
        labels=scene.labels.ravel(),
        split=split,
        samples=patches,
        input_shape=(patches.patch_size, patches.patch_size, patches.cube.shape[-1]),
        prepare=_augmentation(config),
        scene=scene,
    )


def _augmentation(config: Config) -> Preparation | None:
    """The cube is normalised already, so only augmentation is left to do."""
    augmentations = parse_augmentation(config.augment)
    return Preparation((0.0,), (1.0,), augmentations) if augmentations else None


def _load_scene(config: Config) -> Scene:
    """The scene that the configuration names."""
    if config.dataset == "synthetic":
        return synthetic_scene()
    if config.dataset == "file":
        return file_scene(
            config.cube, config.labels, config.cube_variable or None, config.labels_variable or None
        )
    if config.data_dir:
        return load_scene(config.dataset, config.data_dir)
    return cached_scene(config.dataset)


def _make_split(config: Config, scene: Scene) -> Split:
    """The split that the configuration names, with pixels held out for validation."""
    fraction = config.train_fraction
    if fraction is None and config.train_per_class is None:
        fraction = 0.1
    amount = {"fraction": fraction, "per_class": config.train_per_class}
    common = {"class_names": scene.class_names}
    if config.split == "random":
        split = random_split(
            scene.labels, config.seed, small_classes=config.small_classes, **amount, **common
        )
    elif config.split == "disjoint":
        guard = _patch_size(config) // 2
        split = disjoint_split(
            scene.labels, config.seed, guard, config.block_size, **amount, **common
        )
    else:
        split = file_split(config.split, scene.labels, **common)
    held_out = 0.1 if config.validation_fraction is None else config.validation_fraction
    return hold_out(split, scene.labels, held_out, config.seed)


def _make_patches(config: Config, scene: Scene, train_ids: np.ndarray) -> Patches:
    """The scene, scaled by what its training pixels say, ready to be cut into patches."""
    bands = scene.cube.shape[-1]
    components = config.components
    if components is None:
        default = find_trait(config.model_name, "default_components")
        components = min(default, bands, len(train_ids) - 1)
    check_input(config.model_name, _patch_size(config), components or bands)
    cube = Preprocessing.fit(scene.cube, train_ids, components).transform(scene.cube)
    return Patches.of_scene(cube, scene.labels, _patch_size(config))


def _patch_size(config: Config) -> int:
    """The patch size asked for, or the model's own."""
    return config.patch_size or find_trait(config.model_name, "default_patch_size")
