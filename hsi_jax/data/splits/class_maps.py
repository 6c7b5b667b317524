"""Labels from a split whose maps hold classes, where the ground truth is another edition."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.data.splits.file_split import read_split_map
from hsi_jax.errors import InputError

_SETS = ("train", "test")


def label_by_split(scene: Scene, path: str | Path, class_ids: Sequence[int]) -> Scene:
    """Labels a scene by the class maps of a split that somebody else defined.

    Such a split may be older than the ground truth, hold pixels that this leaves unlabelled, and
    number the classes in an order of its own.

    Args:
        scene: with its ground truth, which gives the names and the ids of the classes.
        path: .npz or .mat file with two maps, `train` and `test`, of the scene's rows and columns:
            whole numbers, 0 where a pixel is not in the set, or class 1, 2, ...
        class_ids: the id in the ground truth of each of these classes, in their order.

    Returns:
        The scene, labelled where the split has pixels and nowhere else; its remarks say how this
        differs from the ground truth.

    Raises:
        InputError: if a map cannot be used or has a class without an id, if the maps overlap, or
            if an id is none of the scene's.
    """
    truth = scene.require_labels()
    unknown = sorted(set(class_ids) - set(scene.class_ids))
    if unknown:
        raise InputError(f"`class_ids`: {scene.name} has no class with the id {unknown[0]}")
    indexes = np.array([UNLABELLED, *(scene.class_ids.index(i) for i in class_ids)], np.int32)
    maps = {name: _read_classes(path, name, truth.shape, len(class_ids)) for name in _SETS}
    overlap = np.count_nonzero((maps["train"] > 0) & (maps["test"] > 0))
    if overlap:
        raise InputError(
            f"{overlap} pixel(s) are in both `train` and `test` of {path}; remove them from one."
        )
    labels = indexes[maps["train"] + maps["test"]]
    if scene.nodata is not None:
        labels[scene.nodata] = UNLABELLED
    return replace(
        scene,
        labels=labels,
        unlabelled_counts={
            str(scene.unlabelled_ids[0]): int(np.count_nonzero(labels == UNLABELLED))
        },
        remarks=(*scene.remarks, _describe(labels, truth, {k: m > 0 for k, m in maps.items()})),
    )


def _read_classes(
    path: str | Path, name: str, shape: tuple[int, ...], num_classes: int
) -> np.ndarray:
    """The class of each pixel of a set, int64 [rows, columns], 0 where it is in none."""
    classes = read_split_map(path, name, shape).astype(np.int64)
    if classes.min() < 0 or classes.max() > num_classes:
        raise InputError(
            f"`{name}` of {path} has values from {classes.min()} to {classes.max()}; give classes "
            f"from 1 to {num_classes}, and 0 elsewhere"
        )
    return classes


def _describe(labels: np.ndarray, truth: np.ndarray, sets: dict[str, np.ndarray]) -> str:
    """How the labels of a split differ from the ground truth."""
    new = (labels != UNLABELLED) & (truth == UNLABELLED)
    lost = np.count_nonzero((labels == UNLABELLED) & (truth != UNLABELLED))
    other = np.count_nonzero((labels != truth) & (labels != UNLABELLED) & (truth != UNLABELLED))
    parts = " and ".join(f"{np.count_nonzero(new & sets[name])} that {name}" for name in _SETS)
    return (
        f"The labels are the classes of the split's own maps, not the ground truth: {parts} have "
        f"no class there, {other} have another one, and {lost} of its labelled pixels are in no "
        f"set."
    )
