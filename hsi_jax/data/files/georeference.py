"""Where on the Earth a raster lies, and whether two lie on one grid."""

import functools
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.data.files.raster_source import corners, shift_in_pixels
from hsi_jax.errors import InputError, InputWarning

Transform = tuple[float, float, float, float, float, float]
_MAX_SHIFT = 0.01  # pixels by which grids may differ


def georeference(path: Path, dataset: Any) -> tuple[Transform | None, str | None]:
    """The transform and the reference system, as WKT; None where there is none.

    Ground control points are taken where they lie on a grid, and else named by a warning.

    Args:
        path: of the file.
        dataset: the file as rasterio has opened it.

    Raises:
        InputError: if reference systems are unknown; see `check_projections`.
    """
    from rasterio.transform import from_gcps

    transform, crs = dataset.transform, dataset.crs
    points, points_crs = dataset.gcps
    if transform.is_identity and points:
        fitted = from_gcps(points)
        pixels = np.array([(point.col, point.row, 1) for point in points])
        there = pixels @ np.reshape(tuple(fitted)[:6], (2, 3)).T
        shift = np.abs(there - [(point.x, point.y) for point in points]).max()
        if len(points) >= 4 and shift <= _MAX_SHIFT * np.hypot(fitted.a, fitted.d):
            transform, crs = fitted, points_crs
    if transform.is_identity and (points or dataset.rpcs):
        kind = "ground control points" if points else "rational polynomials"
        warnings.warn(
            f"{path} has its georeference as {kind}, which are not used: maps of it lie "
            f"nowhere on the Earth. Bring it to a grid, for example with gdalwarp.",
            InputWarning,
            stacklevel=3,
        )
    if not transform.is_identity:
        check_projections(path)
    known = None if transform.is_identity else _six(transform)
    return known, crs.to_wkt() if crs else None


def _six(transform: Any) -> Transform:
    a, b, c, d, e, f, *_ = transform
    return a, b, c, d, e, f


@functools.cache
def check_projections(path: Path) -> None:
    """Checks that reference systems are known.

    Raises:
        InputError: if a variable of the environment names the data of another installation.
    """
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        CRS.from_epsg(4326).to_wkt()
    except CRSError as error:
        names = [name for name in ("PROJ_DATA", "PROJ_LIB") if name in os.environ]
        said = " and ".join(f"{name}={os.environ[name]}" for name in names)
        todo = f"{said} belongs to another installation of PROJ: unset {' and '.join(names)}"
        raise InputError(
            f"The reference system of {path} cannot be read: "
            f"{todo if names else 'install rasterio again'} ({error})."
        ) from None


def check_grid(paths: Sequence[Path], one: Any, two: Any) -> None:
    """Checks that two files have the same pixels.

    Args:
        paths: of both.
        one: the first, as rasterio has opened it.
        two: the second.

    Raises:
        InputError: if they lie on different grids.
    """
    difference = None
    if one.shape != two.shape:
        difference = f"{one.shape} rows and columns against {two.shape}"
    elif one.crs != two.crs:
        difference = f"the reference system {one.crs} against {two.crs}"
    elif _shift(one, two) > _MAX_SHIFT:
        difference = f"the transform {tuple(one.transform)[:6]} against {tuple(two.transform)[:6]}"
    if difference:
        raise InputError(
            f"{paths[0]} and {paths[1]} do not lie on one grid: {difference}; bring them to "
            f"the same pixels, for example with gdalwarp."
        )


def _shift(one: Any, two: Any) -> float:
    """How far the corners of two files are apart, in pixels."""
    transform = tuple(one.transform)[:6]
    first, second = (corners(tuple(file.transform)[:6], file.shape) for file in (one, two))
    return shift_in_pixels(first, second, transform)
