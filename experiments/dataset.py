"""From the configuration to the scene, its split and its patches."""

import numpy as np

from experiments.config import Config
from hsi_jax.data.catalogue import file_scene, load_scene
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene import Scene
from hsi_jax.data.split import Split, disjoint_split, file_split, hold_out, random_split
from hsi_jax.data.synthetic import synthetic_scene
from hsi_jax.models import check_input, find_model
from hsi_jax.train.patches import Patches


def load_dataset(config: Config) -> Scene:
    """The scene that the configuration names."""
    if config.dataset == "synthetic":
        return synthetic_scene()
    if config.dataset == "file":
        return file_scene(
            config.cube, config.labels, config.cube_variable or None, config.labels_variable or None
        )
    return load_scene(config.dataset, config.data_dir)


def make_split(config: Config, scene: Scene) -> Split:
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
        guard = patch_size(config) // 2
        split = disjoint_split(
            scene.labels, config.seed, guard, config.block_size, **amount, **common
        )
    else:
        split = file_split(config.split, scene.labels, **common)
    return hold_out(split, scene.labels, config.validation_fraction, config.seed)


def make_patches(config: Config, scene: Scene, train_ids: np.ndarray) -> Patches:
    """The scene, scaled by what its training pixels say, ready to be cut into patches."""
    model = find_model(config.model)
    bands = scene.cube.shape[-1]
    components = config.components
    if components is None:
        components = min(model.default_components, bands, len(train_ids) - 1)
    check_input(config.model, patch_size(config), components or bands)
    cube = Preprocessing.fit(scene.cube, train_ids, components).transform(scene.cube)
    return Patches.of_scene(cube, scene.labels, patch_size(config))


def patch_size(config: Config) -> int:
    """The patch size asked for, or the model's own."""
    return config.patch_size or find_model(config.model).default_patch_size
