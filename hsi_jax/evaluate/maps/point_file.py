"""Points of a scene as a file: GeoPackage and GeoJSON for GIS, or CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.map_grid import Grid, written_whole
from hsi_jax.evaluate.tables.formats import csv_text

_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON"}
POINT_SUFFIXES = (*_DRIVERS, ".csv")


def check_points(path: Path, grid: Grid) -> None:
    """Checks, before any work, that points of a grid can be written to a file.

    Raises:
        InputError: if not, saying what to change.
    """
    suffix = path.suffix.lower()
    if suffix not in POINT_SUFFIXES:
        raise InputError(f"`output`={path}: give a file that ends in {', '.join(POINT_SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"`output`={path}: there is no folder {path.absolute().parent}")
    if suffix == ".csv":
        return
    if grid.transform is None:
        raise InputError(
            f"`output`={path}: the scene does not say where on the Earth it lies; give a .csv "
            f"file, which has rows and columns"
        )
    _libraries()


def _libraries() -> tuple[Any, Any]:
    try:
        import pyogrio.raw
        import shapely
    except ImportError:
        raise InputError(
            "GeoPackage and GeoJSON need pyogrio and shapely, which are not installed: "
            "python -m pip install -e '.[vector]'; or give a .csv file"
        ) from None
    return pyogrio.raw, shapely


def write_points(
    path: Path, positions: np.ndarray, grid: Grid, columns: Mapping[str, Sequence[Any]]
) -> None:
    """Writes a point for the centre of each pixel.

    Args:
        path: that `check_points` has checked.
        positions: row and column of each, int [n, 2].
        grid: of the scene.
        columns: further values of each, by name.

    Raises:
        StorageError: if the file cannot be written.
    """
    known = {"row": positions[:, 0], "column": positions[:, 1], **columns}
    xy = None
    if grid.transform is not None:
        a, b, c, d, e, f = grid.transform
        row, column = positions.T + 0.5
        xy = np.stack([a * column + b * row + c, d * column + e * row + f])
    with written_whole(path) as partial:
        if path.suffix.lower() == ".csv":
            if xy is not None:
                known |= {"x": xy[0], "y": xy[1]}
            rows = zip(*(np.asarray(values).tolist() for values in known.values()), strict=True)
            partial.write_text(csv_text([[*known], *rows]), encoding="utf-8")
            return
        raw, shapely = _libraries()
        assert xy is not None  # as checked
        raw.write(
            partial,
            shapely.to_wkb(shapely.points(xy.T)),
            [np.asarray(values) for values in known.values()],
            [*known],
            geometry_type="Point",
            layer="points",
            crs=grid.crs,
            driver=_DRIVERS[path.suffix.lower()],
        )
