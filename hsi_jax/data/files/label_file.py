"""Labels of a scene from a file: a map of class ids, or polygons and points."""

import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hsi_jax.data.files.raster import read_raster
from hsi_jax.data.files.raster_source import Raster, corners, shift_in_pixels
from hsi_jax.data.files.vector import VECTOR_SUFFIXES, burn_labels
from hsi_jax.data.scene.label_ids import says_none
from hsi_jax.errors import InputError

_MAX_SHIFT = 0.5  # pixels by which a label map may lie beside the cube


@dataclass(frozen=True, eq=False)
class LabelFile:
    """What a file says of the classes of pixels.

    Attributes:
        ids: numbers [rows, columns], as they are stored; of polygons int32, 0 outside.
        nodata_values: values that the file declares as no data.
        class_names: of ids, where the file has names.
        polygon_ids: int32 [rows, columns], number of the polygon or point, or -1 outside; None for
            a label map.
        remarks: what a user has to know of it, a sentence each.
    """

    ids: np.ndarray
    nodata_values: tuple[float, ...] = ()
    class_names: dict[int, str] = field(default_factory=dict)
    polygon_ids: np.ndarray | None = None
    remarks: tuple[str, ...] = ()


def read_labels(
    path: str | Path,
    cube: Raster,
    *,
    variable: str | None = None,
    attribute: str | None = None,
    touched: bool = False,
    may_miss: bool = False,
) -> LabelFile:
    """Reads the labels of a cube.

    Args:
        path: a raster of one band, as `read_raster` takes it, or polygons or points: GeoJSON, a
            shapefile or a GeoPackage.
        cube: that they label.
        variable: the array in a .mat or .npz file, where it has several.
        attribute: of polygons or points, that names the class; see `classes_of_features`.
        touched: whether polygons cover all pixels that they touch; see `burn_labels`.
        may_miss: whether polygons or points need not lie on the cube.

    Raises:
        InputError: if the file cannot be read, or does not lie on the cube.
    """
    if Path(path).suffix.lower() in VECTOR_SUFFIXES:
        if variable is not None:
            raise InputError(f"{path} has no arrays with names; leave out `labels_variable`.")
        rows, columns = cube.array.shape[:2]
        how = {"attribute": attribute, "touched": touched, "may_miss": may_miss}
        burnt = burn_labels(path, (rows, columns), cube, **how)
        return LabelFile(
            burnt.ids,
            class_names=burnt.class_names,
            polygon_ids=burnt.polygon_ids,
            remarks=burnt.remarks,
        )
    if attribute is not None or touched:
        name = "labels_touched" if attribute is None else "labels_attribute"
        raise InputError(
            f"`{name}` goes with polygons or points, and {path} has none; leave it out"
        )
    shape = cube.array.shape
    is_list = len(shape) == 2
    labels = read_raster(
        path,
        variable,
        ndim=(1, 2, 3, 4) if is_list else (2, 3, 1, 4),  # one-hot, or with an axis too many
        argument="labels_variable",
        sizes=shape if is_list else [math.prod(pair) for pair in itertools.combinations(shape, 2)],
    )
    _check_position(labels, cube, str(path))
    names = dict(labels.class_names or {})
    if says_none(names.get(0, "")):  # the convention of ENVI and others
        del names[0]  # else 0 would be a class, because it has a name
    return LabelFile(labels.array, labels.nodata_values, names)


def _check_position(labels: Raster, cube: Raster, source: str) -> None:
    """Checks that a label map lies on the cube, where both know their position.

    Their reference systems may differ, if the corners are the same places.
    """
    if (
        labels.transform is None
        or cube.transform is None
        or labels.array.shape != cube.array.shape[:2]
    ):
        return  # another shape is an error of the scene
    own, wanted = (_corners_in(cube.crs, raster) for raster in (labels, cube))
    shift = shift_in_pixels(own, wanted, cube.transform)
    if not shift <= _MAX_SHIFT:
        raise InputError(
            f"The label map {source} does not lie on the cube: its corners are up to {shift:.4g} "
            f"pixels away. Bring it to the grid of the cube, for example with gdalwarp -r near."
        )


def _corners_in(crs: str | None, raster: Raster) -> np.ndarray:
    """The corners of a raster in coordinates of a reference system, [2, 4]."""
    places = corners(raster.transform or (), raster.array.shape[:2])
    if raster.crs is None or crs is None or raster.crs == crs:
        return places
    from rasterio.warp import transform  # where a reference system is known, it is installed

    return np.array(transform(raster.crs, crs, *places)[:2])
