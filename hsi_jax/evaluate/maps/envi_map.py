"""Class maps as ENVI classifications: a header with names and colours, and raw numbers."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.class_key import ClassKey
from hsi_jax.evaluate.maps.map_grid import Grid, import_rasterio, written_whole


def write_envi(
    path: Path,
    strips: Iterable[np.ndarray],
    grid: Grid,
    key: ClassKey,
    *,
    notes: Mapping[str, str],
) -> None:
    """Writes a map.

    Args:
        path: of the header.
        strips: the values of the map from its first row on, [rows, columns].
        grid: of the map.
        key: of the classes, counted.
        notes: how the map was made, by name, for the description.
    """
    dtype = np.dtype(key.dtype).newbyteorder("<")
    with written_whole(path.with_suffix(".img")) as partial, open(partial, "wb") as file:
        for strip in strips:
            file.write(np.ascontiguousarray(strip, dtype).data)
    colours = [(0, 0, 0), *key.rgb.values()]
    about = [_plain(f"{name} {text}") for name, text in notes.items()]
    fields = {
        **({"description": _braces(about)} if about else {}),
        "samples": grid.columns,
        "lines": grid.rows,
        "bands": 1,
        "header offset": 0,
        "file type": "ENVI Classification",
        "data type": {1: 1, 2: 12}[dtype.itemsize],
        "interleave": "bsq",
        "byte order": 0,
        "data ignore value": 0,
        "classes": len(key.names) + 1,
        "class names": _braces(["Unclassified", *map(_plain, key.names)]),
        "class lookup": _braces([level for rgb in colours for level in rgb]),
        **_position(grid),
    }
    lines = ["ENVI", *(f"{name} = {value}" for name, value in fields.items())]
    with written_whole(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def check_position(path: Path, grid: Grid) -> None:
    """Checks that a header can tell where the pixels lie.

    Raises:
        InputError: if the grid is turned, or if rasterio is missing but needed.
    """
    if grid.transform and (grid.transform[1] or grid.transform[3]):
        raise InputError(
            f"{path}: the grid of the scene is turned; write a .tif, which can hold it"
        )
    _position(grid)


def _position(grid: Grid) -> dict[str, str]:
    """Header fields that tell where the pixels lie."""
    if grid.transform is None:
        return {}
    a, _, c, _, e, f = grid.transform
    projection, fields = "Arbitrary", {}
    if grid.crs is not None:
        rasterio = import_rasterio("a map with a reference system")
        crs = rasterio.crs.CRS.from_user_input(grid.crs)
        projection = "Geographic Lat/Lon" if crs.is_geographic else "Projected"
        fields["coordinate system string"] = f"{{{crs.to_wkt(version='WKT1_ESRI')}}}"
    return {"map info": _braces([projection, 1, 1, c, f, a, -e]), **fields}


def _braces(items: Iterable[object]) -> str:
    return "{" + ", ".join(map(str, items)) + "}"


def _plain(name: str) -> str:
    """A name without what separates names in an ENVI header."""
    return " ".join(name.translate(str.maketrans(",{}\n", "    ")).split())
