"""The file of a map that was predicted in Python."""

from pathlib import Path

import numpy as np

from hsi_jax.data.scene.scene import Scene
from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.class_key import ClassKey
from hsi_jax.evaluate.maps.map_files import CLASS_SUFFIXES, check_file, key_of, write_classes
from hsi_jax.evaluate.maps.map_grid import Grid
from hsi_jax.trained.description import Description
from hsi_jax.trained.trained_model import TrainedModel


def write_map(
    path: str | Path,
    classes: np.ndarray,
    *,
    model: TrainedModel,
    scene: Scene,
    overwrite: bool = False,
) -> None:
    """Writes a map with the ids, names and colours of its classes and the position of its scene.

    Args:
        path: of the file: .tif (GeoTIFF), .hdr (ENVI classification), .npy or .png.
        classes: as `TrainedModel.predict` returns them, int [rows, columns], -1 for no class.
        model: that predicted them.
        scene: that was predicted.
        overwrite: whether a file may be replaced.

    Raises:
        InputError: if the map is not that of the scene and model, or the file may not be written.
        StorageError: if the file cannot be written.
    """
    path, classes = Path(path), np.asarray(classes)
    grid = Grid(*scene.shape[:2], scene.crs, scene.transform)
    check_file(path, CLASS_SUFFIXES, "path", grid)
    if classes.shape != scene.shape[:2] or classes.dtype.kind not in "iu":
        raise InputError(
            f"`classes` has shape {classes.shape} and dtype {classes.dtype}; give the classes of "
            f"{scene.shape[0]} x {scene.shape[1]} pixels, as `model.predict(scene)` returns them"
        )
    if not -1 <= classes.min() <= classes.max() < model.num_classes:
        raise InputError(
            f"`classes` holds {classes.min()} to {classes.max()}, but the model has the classes 0 "
            f"to {model.num_classes - 1}; give what `model.predict(scene)` returns"
        )
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; choose another name, or give `overwrite`=True")
    key = key_of(path, class_key(model.description))
    dtype = np.min_scalar_type(model.num_classes)
    write_classes(path, [(classes + 1).astype(dtype)], grid, key)


def class_key(description: Description) -> ClassKey:
    """What the values of a model's maps mean; `key_of` makes the key of a format of it."""
    return ClassKey.of_ids(
        description.class_names,
        description.colours,
        description.class_ids,
        description.unlabelled_id,
    )
