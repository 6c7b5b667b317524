"""A new scene read as the training scene was: its bands, and which of its pixels have no data.

What the file or the user says about the new scene comes first. A warning says what is taken from
the model instead, and what looks wrong.
"""

import math
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hsi_jax.data.files.raster_source import Raster, RasterSource
from hsi_jax.data.scene.axes import orient
from hsi_jax.data.scene.band_match import (
    Bands,
    doubt_on_order,
    doubt_on_values,
    have_same_wavelengths,
    match_bands,
    value_ranges,
)
from hsi_jax.data.scene.bands import constant_bands
from hsi_jax.data.scene.fill_values import find_fill_values
from hsi_jax.data.scene.nodata import find_nodata, uncounted_bands
from hsi_jax.data.scene.read_options import format_value
from hsi_jax.data.scene.scene import Scene, unmasked
from hsi_jax.data.scene.scene_tiles import CubeSource, WindowReader, cut_tiles, look_at
from hsi_jax.data.scene.stored_cube import StoredCube, row_blocks
from hsi_jax.errors import InputError, InputWarning
from hsi_jax.trained.description import Description

_NAMES = ("first", "second", "last")


def scene_as_trained(description: Description, scene: Scene) -> Scene:
    """The scene with the model's band axis and values of no data, where it has none of its own.

    Warns:
        InputWarning: telling what is taken from the model.
    """
    name = f"scene {scene.name}"
    axis = _axis(description, scene.shape, scene.band_axis)
    if axis != 2 and scene.labels is None and scene.nodata is None and scene.wavelengths is None:
        _tell(_axis_words(name, axis))
        scene = replace(scene, cube=np.moveaxis(np.asarray(scene.cube), axis, 2), band_axis=axis)
    values = _values(description)
    if not values or scene.nodata_values or scene.nodata is not None:
        return scene
    ignored = uncounted_bands((block for _, block in row_blocks(scene.cube)), values)
    parts = [find_nodata(block, values, ignored).mask for _, block in row_blocks(scene.cube)]
    mask = np.concatenate(parts)
    if not mask.any():
        return scene
    _tell(f"{np.count_nonzero(mask)} pixels of {_nodata_words(name, values)}")
    return replace(scene, nodata=mask, nodata_values=values)


def source_as_trained(description: Description, source: RasterSource, name: str) -> RasterSource:
    """A scene of which windows are read, with what it takes from the model.

    Args:
        description: of the model.
        source: of the scene.
        name: what warnings call it.

    Warns:
        InputWarning: telling what is taken from the model.
    """
    source = _in_order(description, source, name)
    values = _values(description)
    if values and not source.nodata_values:
        _tell(f"pixels of {_nodata_words(name, values)}")
        source = replace(source, nodata_values=values)
    return source


def cube_as_trained(
    description: Description, cube: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """A cube with the bands of the model as float32, and its pixels without data.

    Args:
        description: of the model.
        cube: numbers, in an order of axes that `Scene.from_arrays` takes; what a masked array hides
            is no data.

    Raises:
        InputError: if it is no cube, has other bands, or no data.

    Warns:
        InputWarning: telling what is taken from the model; or as `reader_as_trained`.
    """
    name = "the cube"
    numbers, hidden = unmasked(cube)
    source = Raster(orient(numbers, None, None, name).cube).source()
    source = _in_order(description, source, name)
    values = _values(description)
    source = replace(source, nodata_values=(*values, math.nan) if hidden else values)
    bands = bands_as_trained(description, Bands(source.shape[2]), name, shape=source.shape)
    reader = reader_as_trained(description, source, bands, name)
    read, missing = reader.read(slice(None), slice(None))
    if missing.all():
        raise InputError(f"no pixel of {name} has data; check its values")
    if not missing.any():
        return read, None
    if values:
        _tell(f"{np.count_nonzero(missing)} pixels of {_nodata_words(name, values)}")
    return read, missing


def bands_as_trained(
    description: Description,
    given: Bands,
    name: str,
    *,
    kept_bands: tuple[int, ...] | None = None,
    shape: Sequence[int] = (),
) -> np.ndarray | None:
    """The bands of a scene that a model takes, by wavelength, by name, or by what the model kept.

    Args:
        description: of the model.
        given: what is known of the scene's bands.
        name: what messages call the scene.
        kept_bands: the bands of its file that the scene has, where it has not all.
        shape: of an array, among whose axes that of the bands may be another one. It is given in
            Python, with the order of its bands.

    Returns:
        0-based bands; None for all as they are.

    Raises:
        InputError: if they cannot be identified.
    """
    trained = Bands(description.num_bands, description.wavelengths, description.band_names)
    own = description.kept_bands
    whole = kept_bands is None and given.count == description.file_bands != description.num_bands
    if own and whole and _are_kept(trained, given, own):
        return np.array(own)
    found = match_bands(trained, given, source=name)
    if found is not None:
        in_order = given.count == len(found) and (found == np.arange(len(found))).all()
        return None if in_order else found
    if own and whole:
        return np.array(own)
    _check_count(description, given, name, kept_bands=kept_bands, shape=shape)
    doubt = doubt_on_order(trained, given, name)
    if doubt and not shape:
        _tell(doubt)
    return None


def reader_as_trained(
    description: Description, source: CubeSource, bands: np.ndarray | None, name: str
) -> WindowReader:
    """A scene of which windows are read by the rule for pixels without data.

    Args:
        description: of the model.
        source: of the scene.
        bands: of it that the model takes, as of `bands_as_trained`.
        name: what warnings call the scene.

    Warns:
        InputWarning: if values look like no data and are not declared so, or are unlike those of
            training.
    """
    reader = WindowReader(source, bands)
    tiles = cut_tiles(source.shape[:2])
    blocks = (reader.numbers(tile.rows, tile.columns) for tile in tiles)
    ignored = uncounted_bands(blocks, source.nodata_values)
    reader = replace(reader, ignored=ignored)
    cube, missing, undeclared = look_at(reader)
    if undeclared:
        _tell(f"{undeclared} pixels of {name} hold values that are not finite: they have no data")
    _warn_of_values(description, cube, ~missing, name)
    _warn_of_fill(cube, ~missing, name)
    return reader


def warn_of_scene(description: Description, scene: Scene, bands: np.ndarray | None) -> None:
    """Warns if the values of a scene look wrong, as `reader_as_trained` does.

    What looks like no data in a scene with labels was named when it was read.
    """
    has_data = np.ones(scene.shape[:2], bool) if scene.nodata is None else ~scene.nodata
    _warn_of_values(description, scene.cube, has_data, f"scene {scene.name}", bands=bands)


def _warn_of_values(
    description: Description,
    cube: np.ndarray | StoredCube,
    has_data: np.ndarray,
    name: str,
    *,
    bands: np.ndarray | None = None,
) -> None:
    if description.value_ranges and has_data.any():
        found = value_ranges(cube, np.flatnonzero(has_data))
        found = found if bands is None else tuple(found[band] for band in bands)
        if doubt := doubt_on_values(description.value_ranges, found, name):
            _tell(doubt)


def _warn_of_fill(cube: np.ndarray, has_data: np.ndarray, name: str) -> None:
    if not has_data.any():
        return
    for fill in find_fill_values(cube, has_data, None, constant_bands(cube, has_data)):
        if not fill.saturated:
            _tell(
                f"{name} has {fill}: this looks like 'no data', but these pixels get a class. "
                f"Declare {format_value(fill.value)} as no data, in the file or where it is read"
            )


def _are_kept(trained: Bands, given: Bands, kept: tuple[int, ...]) -> bool:
    """Whether a whole file has the wavelengths of the model at the bands that it kept."""
    if trained.wavelengths is None or given.wavelengths is None:
        return False
    return have_same_wavelengths(trained.wavelengths, np.asarray(given.wavelengths)[list(kept)])


def _check_count(
    description: Description,
    given: Bands,
    name: str,
    *,
    kept_bands: tuple[int, ...] | None,
    shape: Sequence[int],
) -> None:
    """Checks that a scene has the bands of the model, as far as their number shows."""
    if kept_bands not in (None, description.kept_bands):
        raise InputError(
            f"{name} has other bands of its file than the model takes; read it without `drop_bands`"
        )
    if given.count == description.num_bands:
        return
    of_file = f" of {description.file_bands}" if description.kept_bands else ""
    needed = f"{name} has {given.count} bands, but the model takes {description.num_bands}"
    for axis, size in enumerate(shape[:2]):
        if size in (description.num_bands, description.file_bands):
            raise InputError(
                f"{needed}{of_file}; its axis {axis} has {size}: if those are the bands, read it "
                f"with `band_axis`={axis}"
            )
    raise InputError(f"{needed}{of_file}; give a scene with the same bands")


def _in_order(description: Description, source: RasterSource, name: str) -> RasterSource:
    """The source with its bands last, where they lie along another axis as in training."""
    axis = _axis(description, source.shape, 2)
    if axis == 2 or source.transform is not None or source.wavelengths is not None:
        return source
    _tell(_axis_words(name, axis))
    return _with_bands_last(source, axis)


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
    """Warns where the library was called from."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].startswith("hsi_jax."):
        level, frame = level + 1, frame.f_back
    warnings.warn(words, InputWarning, stacklevel=level)


def _with_bands_last(source: RasterSource, axis: int) -> RasterSource:
    rows, columns = (source.shape[k] for k in range(3) if k != axis)
    bands = slice(0, source.shape[axis])

    def read(rows: slice, columns: slice) -> np.ndarray:
        parts = (bands, rows) if axis == 0 else (rows, bands)
        return np.moveaxis(source.read_window(*parts)[:, :, columns], axis, 2)

    return replace(source, shape=(rows, columns, source.shape[axis]), read_window=read)
