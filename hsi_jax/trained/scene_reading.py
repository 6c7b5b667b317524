"""A new scene read as the training scene was: where its bands lie, and what stands for no data.

What the file, or the user, says of the new scene comes first. What is taken from the model instead
is told in a warning.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hsi_jax.data.files.raster_source import RasterSource
from hsi_jax.data.scene.nodata import find_nodata, format_value
from hsi_jax.data.scene.read_options import Reading
from hsi_jax.data.scene.scene import Scene
from hsi_jax.errors import InputWarning
from hsi_jax.trained.description import Description

_NAMES = ("first", "second", "last")


def scene_as_trained(description: Description, scene: Scene) -> Scene:
    """The scene with the model's band axis and values of no data, where it has none of its own.

    Warns:
        InputWarning: telling what is taken from the model.
    """
    axis = _axis(description, scene.shape, scene.band_axis)
    if axis != 2 and scene.labels is None and scene.nodata is None and scene.wavelengths is None:
        _tell(_axis_words(f"scene {scene.name}", axis))
        scene = replace(scene, cube=np.moveaxis(np.asarray(scene.cube), axis, 2), band_axis=axis)
    values = _values(description)
    if not values or scene.nodata_values or scene.nodata is not None:
        return scene
    found = find_nodata(np.asarray(scene.cube), values)
    if not found.mask.any():
        return scene
    _tell(
        f"{np.count_nonzero(found.mask)} pixels of {_nodata_words(f'scene {scene.name}', values)}"
    )
    return replace(scene, nodata=found.mask, nodata_values=values)


def cube_as_trained(description: Description, cube: np.ndarray) -> Scene:
    """A scene of a cube alone, read as the training scene was.

    Args:
        description: of the model.
        cube: numbers, [rows, columns, bands].

    Raises:
        InputError: if it is no cube.

    Warns:
        InputWarning: telling what is taken from the model.
    """
    cube = np.asarray(cube)
    axis = _axis(description, cube.shape, 2) if cube.ndim == 3 else None
    dropped: tuple[int, ...] = ()
    if axis is not None and cube.shape[axis] == description.file_bands != description.num_bands:
        dropped = tuple(sorted({*range(cube.shape[axis])} - {*(description.kept_bands or ())}))
    values = _values(description)
    reading = Reading(nodata=values, band_axis=axis, drop_bands=dropped)
    scene = Scene.from_arrays("scene", cube, None, reading=reading)
    if axis not in (None, 2):
        _tell(_axis_words("the cube", axis))
    if scene.nodata is not None:
        count = np.count_nonzero(scene.nodata)
        _tell(f"{count} pixels of {_nodata_words('the cube', values)}")
    return scene


def source_as_trained(description: Description, source: RasterSource, name: str) -> RasterSource:
    """Likewise of a scene of which windows are read.

    Args:
        description: of the model.
        source: of the scene.
        name: what warnings call it.

    Warns:
        InputWarning: telling what is taken from the model.
    """
    axis = _axis(description, source.shape, 2)
    if axis != 2 and source.transform is None and source.wavelengths is None:
        _tell(_axis_words(name, axis))
        source = _with_bands_last(source, axis)
    values = _values(description)
    if values and not source.nodata_values:
        _tell(f"pixels of {_nodata_words(name, values)}")
        source = replace(source, nodata_values=values)
    return source


def _axis(description: Description, shape: Sequence[int], axis: int) -> int:
    """The axis of the bands: the model's, where only that one can be."""
    bands = (description.num_bands, description.file_bands)
    if axis != 2 or shape[2] in bands or shape[description.band_axis] not in bands:
        return 2
    return description.band_axis


def _values(description: Description) -> tuple[float, ...]:
    return tuple(math.nan if value is None else value for value in description.nodata_values)


def _axis_words(name: str, axis: int) -> str:
    return f"the bands of {name} are taken to lie along its {_NAMES[axis]} axis, as in training"


def _nodata_words(name: str, values: Sequence[float]) -> str:
    listed = ", ".join(map(format_value, values))
    return f"{name} that hold {listed} are taken as pixels without data, as in training"


def _tell(words: str) -> None:
    warnings.warn(words, InputWarning, stacklevel=5)  # the caller of `predict`


def _with_bands_last(source: RasterSource, axis: int) -> RasterSource:
    rows, columns = (source.shape[k] for k in range(3) if k != axis)
    bands = slice(0, source.shape[axis])

    def read(rows: slice, columns: slice) -> np.ndarray:
        parts = (bands, rows) if axis == 0 else (rows, bands)
        return np.moveaxis(source.read_window(*parts)[:, :, columns], axis, 2)

    return replace(source, shape=(rows, columns, source.shape[axis]), read_window=read)
