"""Scenes of DataArrays with bands, y and x, as rioxarray and others make them."""

from typing import Any

import numpy as np

from hsi_jax.data.scene.array_axes import find_axes, find_place
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.wavelengths import to_nanometres


def scene_of_xarray(array: Any, labels: Any = None, **known: Any) -> Scene:
    """A scene of a DataArray: its numbers, and where it has them wavelengths, position and no data.

    Args:
        array: xarray.DataArray of three axes, named as `find_axes` knows them. A
            coordinate "wavelength" along the bands, with its `units`; x and y of equal steps; and
            rioxarray's coordinate "spatial_ref" tell the rest. Values are taken as they are:
            xarray has applied scale and offset where it was asked to.
        labels: ids of the classes, a DataArray or numbers [rows, columns]; None without any.
        known: further arguments of `Scene.from_arrays`, such as `class_names`.

    Raises:
        InputError: if it has other axes; or as `Scene.from_arrays`.
    """
    bands, rows, columns = find_axes(array)
    ordered = array.transpose(rows, columns, bands)
    crs, transform = find_place(ordered, rows, columns)
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


def _wavelengths(array: Any, bands: str) -> np.ndarray | None:
    for name in ("wavelength", "wavelengths", bands):
        if name in array.coords and array.coords[name].dims == (bands,):
            found = array.coords[name]
            if name.lower().startswith("wavelength"):
                return to_nanometres(found.values, found.attrs.get("units"))
    return None
