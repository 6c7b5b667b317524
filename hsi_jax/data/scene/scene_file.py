"""Scenes from files: those of the catalogue as their publishers distribute them, and any other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.data.files.class_file import read_class_file
from hsi_jax.data.files.label_file import read_labels
from hsi_jax.data.files.raster import raster_name, read_raster, stored_source
from hsi_jax.data.files.raster_source import Raster
from hsi_jax.data.files.reader import read_array
from hsi_jax.data.public.catalogue import SceneInfo, find_scene
from hsi_jax.data.scene.read_options import ReadOptions, bands_to_text
from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.data.scene.stored_cube import row_blocks
from hsi_jax.errors import InputError

LABELLED_ONLY_NOTE = (
    "All unlabelled pixels of this cube are zero: results of models that look at one pixel are "
    "exact, results of patch models are not those of the standard protocol."
)


def load_scene(name: str, data_dir: str | Path, reading: ReadOptions | None = None) -> Scene:
    """Loads a scene of the catalogue from the files its publisher distributes.

    Args:
        name: a key of CATALOGUE.
        data_dir: folder that has the files, itself or in a direct subfolder.
        reading: what is known of the arrays beyond that.

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
        reading=reading,
        class_names=info.class_names,
        rgb_bands=info.rgb_bands,
        source=f"{cube_path} and {label_path}",
    )
    return _noting_zero_background(scene)


def file_scene(
    cube_path: str | Path,
    labels_path: str | Path | None = None,
    *,
    cube_variable: str | None = None,
    labels_variable: str | None = None,
    reading: ReadOptions | None = None,
    labels_attribute: str | None = None,
    labels_touched: bool = False,
    hold_cube: bool = True,
) -> Scene:
    """Loads a scene from one or two files of any name.

    Args:
        cube_path: file with the cube, [rows, columns, bands]: .mat, .npy, .npz, HDF5, GeoTIFF or
            ENVI, or several GeoTIFF files; see `read_raster`. Other orders of the axes, and lists
            of pixels, are understood as by `Scene.from_arrays`.
        labels_path: such a file with the label map, [rows, columns]; it may be the file of the
            cube. Or polygons or points: GeoJSON, shapefile or GeoPackage. None for a scene without
            ground truth.
        cube_variable: array in the first file; None takes the only 3-D one, or else the only 2-D
            one.
        labels_variable: array in the second file; None takes the only 2-D one, or else the only
            one that fits the cube.
        reading: what is known of the arrays beyond what the files tell.
        labels_attribute: attribute of the polygons that names the class; see
            `classes_of_features` for the default.
        labels_touched: whether polygons cover all pixels that they touch, not only those whose
            centre lies in them.
        hold_cube: whether the scene holds its cube in memory. If not, the file is read as a whole
            once, to look at it, and again row by row where the scene is used, so that training
            holds one cube instead of two. Files of .npy, GeoTIFF and ENVI can be read so; of others
            the numbers are held as they are stored, if they take no more than float32.

    Returns:
        The scene, named after the cube's file; its classes are called "class <id>". Values that the
        file of the cube declares as "no data" are left out, as those of `reading`.

    Raises:
        InputError: if a file cannot be read or the arrays do not make a scene.
    """
    raster = read_raster(cube_path, cube_variable, ndim=(3, 2, 4), argument="cube_variable")
    reading = reading or ReadOptions()
    declared = dict.fromkeys((*reading.nodata, *raster.nodata_values))
    facts: dict[str, Any] = {
        "reading": replace(reading, nodata=tuple(declared)),
        "wavelengths": raster.wavelengths,
        "band_names": raster.band_names,
        "bad_bands": raster.bad_bands,
        "crs": raster.crs,
        "transform": raster.transform,
        "stored": None if hold_cube else stored_source(cube_path, raster),
    }
    if labels_path is None:
        scene = Scene.from_arrays(
            raster_name(cube_path), raster.array, source=str(cube_path), **facts
        )
        return _noting_opacity(scene, raster, reading)
    how = {"variable": labels_variable, "attribute": labels_attribute, "touched": labels_touched}
    labels = read_labels(labels_path, raster, **how)
    facts |= {
        "class_names": labels.class_names,
        "declared_ids": labels.nodata_values,
        "note": " ".join(labels.remarks),
        "polygon_ids": labels.polygon_ids,
        "source": f"{cube_path} and {labels_path}",
    }
    scene = Scene.from_arrays(raster_name(cube_path), raster.array, labels.ids, **facts)
    return _noting_zero_background(_noting_opacity(scene, raster, reading))


def with_classes(scene: Scene, path: str | Path) -> Scene:
    """A scene whose classes have the names and colours of a file, where it tells them.

    Args:
        scene: with labels.
        path: as of `read_class_file`.

    Raises:
        InputError: if the file cannot be read, or names no id of the scene.
    """
    given = read_class_file(path)
    if not given.names.keys() & set(scene.class_ids):
        raise InputError(
            f"{path} names the ids {', '.join(map(str, sorted(given.names)))}, but the classes of "
            f"{scene.name} are {', '.join(map(str, scene.class_ids))}"
        )
    named = zip(scene.class_ids, scene.class_names, strict=True)
    return replace(
        scene,
        class_names=tuple(given.names.get(class_id, name) for class_id, name in named),
        class_colours=tuple(given.colours.get(class_id, "") for class_id in scene.class_ids),
    )


def _find(file_name: str, info: SceneInfo, data_dir: Path) -> Path:
    if not data_dir.is_dir():
        raise InputError(
            f"There is no data folder {data_dir}; create it or give another `data_dir`."
        )
    subfolders = sorted(entry for entry in data_dir.iterdir() if entry.is_dir())
    for folder in (data_dir, *subfolders):
        if (folder / file_name).is_file():
            return folder / file_name
    raise InputError(
        f"{file_name} of {info.title} is not in {data_dir} or its direct subfolders; get it from "
        f"{info.page} and put it there."
    )


def _noting_opacity(scene: Scene, raster: Raster, reading: ReadOptions) -> Scene:
    opacity = set(raster.opacity_bands) & set(scene.kept_bands or range(scene.shape[2]))
    if not opacity:
        return scene
    remark = (
        f"The file calls the bands {bands_to_text(sorted(opacity))} (counted from 0) opacity "
        f"(alpha). They are taken as measurements; "
        f"`drop_bands`={reading.dropping(sorted(opacity))} leaves them out."
    )
    return replace(scene, remarks=(*scene.remarks, remark))


def _noting_zero_background(scene: Scene) -> Scene:
    unlabelled = scene.require_labels() == UNLABELLED
    if scene.nodata is not None and 0 not in scene.nodata_values:
        unlabelled &= ~scene.nodata
    blocks = row_blocks(scene.cube) if unlabelled.any() else ()
    if blocks and not any(_any_number(block, unlabelled[rows]) for rows, block in blocks):
        return replace(scene, note=f"{scene.note} {LABELLED_ONLY_NOTE}".strip())
    return scene


def _any_number(cube: np.ndarray, where: np.ndarray) -> bool:
    """Whether any value there is not 0, row by row: the values of all would copy the cube."""
    return any(np.any(row[there]) for row, there in zip(cube, where, strict=True))
