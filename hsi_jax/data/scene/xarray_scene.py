"""Scenes of DataArrays with bands, y and x, as rioxarray and others make them."""

from typing import Any

import numpy as np

from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.wavelengths import to_nanometres
from hsi_jax.errors import InputError

BANDS = ("band", "bands", "wavelength", "wavelengths")
ROWS = ("y", "row", "rows", "lat", "latitude", "downtrack")
COLUMNS = ("x", "column", "columns", "lon", "longitude", "crosstrack")
EVEN = 1e-3  # of a pixel, by which the steps of a coordinate may differ


def scene_of_xarray(array: Any, labels: Any = None, **known: Any) -> Scene:
    """A scene of a DataArray: its numbers, and where it has them wavelengths, position and no data.

    Args:
        array: xarray.DataArray of three axes, named as in `BANDS`, `ROWS` and `COLUMNS`. A
            coordinate "wavelength" along the bands, with its `units`; x and y of equal steps; and
            rioxarray's coordinate "spatial_ref" tell the rest. Values are taken as they are:
            xarray has applied scale and offset where it was asked to.
        labels: ids of the classes, a DataArray or numbers [rows, columns]; None without any.
        known: further arguments of `Scene.from_arrays`, such as `class_names`.

    Raises:
        InputError: if it has other axes; or as `Scene.from_arrays`.
    """
    bands, rows, columns = (_axis(array, names) for names in (BANDS, ROWS, COLUMNS))
    ordered = array.transpose(rows, columns, bands)
    crs, transform = _place(ordered, rows, columns)
    wavelengths = _wavelengths(ordered, bands)
    fill = ordered.attrs.get("_FillValue", ordered.encoding.get("_FillValue"))
    values = () if fill is None else (float(fill),)
    cube = np.asarray(ordered.values)
    if cube.dtype.kind == "f" and not np.isfinite(cube).all():
        values = (*values, float("nan"))  # what xarray makes of values that are masked
    if labels is not None and hasattr(labels, "transpose") and hasattr(labels, "dims"):
        labels = labels.transpose(rows, columns).values
    return Scene.from_arrays(
        str(array.name or "array"),
        cube,
        labels,
        reading=ReadOptions(nodata=values),
        wavelengths=wavelengths,
        crs=crs,
        transform=transform,
        source=f"the DataArray {array.name or ''}".strip(),
        **known,
    )


def _axis(array: Any, names: tuple[str, ...]) -> str:
    found = [name for name in array.dims if str(name).lower() in names]
    if len(found) != 1 or len(array.dims) != 3:
        raise InputError(
            f"the DataArray has the axes {', '.join(map(str, array.dims))}; give three, named "
            f"band, y and x"
        )
    return found[0]


def _wavelengths(array: Any, bands: str) -> np.ndarray | None:
    for name in ("wavelength", "wavelengths", bands):
        if name in array.coords and array.coords[name].dims == (bands,):
            found = array.coords[name]
            if name.lower().startswith("wavelength"):
                return to_nanometres(found.values, found.attrs.get("units"))
    return None


def _place(
    array: Any, rows: str, columns: str
) -> tuple[str | None, tuple[float, float, float, float, float, float] | None]:
    """Reference system and transform, where the coordinates have even steps."""
    reference = array.coords.get("spatial_ref")
    crs = None if reference is None else reference.attrs.get("crs_wkt")
    steps = []
    for name in (columns, rows):
        if name not in array.coords or array.sizes[name] < 2:
            return None, None
        values = np.asarray(array.coords[name].values, np.float64)
        differences = np.diff(values)
        if np.ptp(differences) > EVEN * abs(differences[0]) or not differences[0]:
            return None, None
        steps.append((values[0], (values[-1] - values[0]) / (len(values) - 1)))
    (x, across), (y, down) = steps
    return crs, (across, 0.0, x - across / 2, 0.0, down, y - down / 2)
