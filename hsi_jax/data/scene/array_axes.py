"""The axes of a DataArray by name, and its position by coordinates."""

from typing import Any

import numpy as np

from hsi_jax.errors import InputError

BANDS = ("band", "bands", "wavelength", "wavelengths")
ROWS = ("y", "row", "rows", "lat", "latitude", "downtrack")
COLUMNS = ("x", "column", "columns", "lon", "longitude", "crosstrack")
EVEN = 1e-3  # of a pixel, by which the steps of a coordinate may differ


def find_axes(array: Any) -> tuple[str, str, str]:
    """Names of the axes of bands, rows and columns of a DataArray.

    Raises:
        InputError: if it has other axes than three, named as in `BANDS`, `ROWS` and `COLUMNS`.
    """
    bands, rows, columns = (_axis(array, names) for names in (BANDS, ROWS, COLUMNS))
    return bands, rows, columns


def _axis(array: Any, names: tuple[str, ...]) -> str:
    found = [name for name in array.dims if str(name).lower() in names]
    if len(found) != 1 or len(array.dims) != 3:
        raise InputError(
            f"the DataArray has the axes {', '.join(map(str, array.dims))}; give three, named "
            f"band, y and x"
        )
    return found[0]


def find_place(
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
