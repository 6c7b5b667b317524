"""Scenes from files: those of the catalogue as their publishers distribute them, and any others."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from hsi_jax.data.catalogue import SceneInfo, find_scene
from hsi_jax.data.reader import read_array
from hsi_jax.data.scene import UNLABELLED, Scene
from hsi_jax.errors import InputError

LABELLED_ONLY_NOTE = (
    "All unlabelled pixels of this cube are zero: results of models that look at one pixel are "
    "exact, results of patch models are not those of the standard protocol."
)


def load_scene(name: str, data_dir: str | Path) -> Scene:
    """Loads a scene of the catalogue from the files its publisher distributes.

    Args:
        name: a key of CATALOGUE.
        data_dir: folder that has the files, itself or in a direct subfolder.

    Returns:
        The scene; its note says so if the cube is zero at all unlabelled pixels.

    Raises:
        InputError: if the name is unknown, a file is missing or damaged, or a shape is wrong.
    """
    info = find_scene(name)
    cube_path = _find(info.cube_file, info, Path(data_dir))
    label_path = _find(info.label_file, info, Path(data_dir))
    cube = read_array(cube_path, info.cube_variable, ndim=3)
    if cube.shape != info.shape:
        raise InputError(
            f"The cube in {cube_path} has shape {cube.shape}, but {info.title} has {info.shape}; "
            f"get the file from {info.page}."
        )
    scene = Scene.from_arrays(
        name,
        cube,
        read_array(label_path, info.label_variable, ndim=2),
        info.class_names,
        info.rgb_bands,
        source=f"{cube_path} and {label_path}",
    )
    return _noting_zero_background(scene)


def file_scene(
    cube: str | Path,
    labels: str | Path,
    cube_variable: str | None = None,
    labels_variable: str | None = None,
) -> Scene:
    """Loads a scene from any two files (or from one file that holds both arrays).

    Args:
        cube: .mat, .npy or .npz file with the cube, [rows, columns, bands].
        labels: .mat, .npy or .npz file with the label map, [rows, columns], 0 for unlabelled.
        cube_variable: array in the first file; None takes the only 3-D one.
        labels_variable: array in the second file; None takes the only 2-D one.

    Returns:
        The scene, named after the cube's file; its classes are called "class <id>".

    Raises:
        InputError: if a file cannot be read or the arrays do not make a scene.
    """
    scene = Scene.from_arrays(
        Path(cube).stem,
        read_array(cube, cube_variable, ndim=3),
        read_array(labels, labels_variable, ndim=2),
        source=f"{cube} and {labels}",
    )
    return _noting_zero_background(scene)


def _find(file_name: str, info: SceneInfo, data_dir: Path) -> Path:
    if not data_dir.is_dir():
        raise InputError(f"There is no data folder {data_dir}; create it or give another one.")
    subfolders = sorted(entry for entry in data_dir.iterdir() if entry.is_dir())
    for folder in (data_dir, *subfolders):
        if (folder / file_name).is_file():
            return folder / file_name
    raise InputError(
        f"{file_name} of {info.title} is not in {data_dir} or its direct subfolders; get it from "
        f"{info.page} and put it there."
    )


def _noting_zero_background(scene: Scene) -> Scene:
    unlabelled = scene.labels == UNLABELLED
    if unlabelled.any() and not np.any(scene.cube[unlabelled]):
        return replace(scene, note=LABELLED_ONLY_NOTE)
    return scene
