"""DataArrays of scenes and of their maps; `hsi_jax.data.scene.xarray_scene` reads them."""

from typing import Any

import numpy as np

from hsi_jax.errors import InputError


def to_xarray(scene: Any, values: np.ndarray | None = None, name: str = "") -> Any:
    """A DataArray of a scene, or of a map of it, with coordinates, wavelengths and position.

    Args:
        scene: a `Scene`.
        values: a map of the scene, [rows, columns], or [rows, columns, n], such as what
            `TrainedModel.predict` and `predict_probabilities` give; None for the cube itself.
        name: of the array; "" for that of the scene.

    Returns:
        xarray.DataArray, [band, y, x] or [y, x]; `scene_of_xarray` reads it.

    Raises:
        InputError: if xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise InputError(
            "a DataArray needs xarray, which is not installed: python -m pip install -e '.[xarray]'"
        ) from None
    numbers = np.asarray(scene.cube) if values is None else np.asarray(values)
    coordinates: dict[str, Any] = _pixel_centres(scene)
    if numbers.ndim == 3:
        numbers = np.moveaxis(numbers, -1, 0)
        coordinates["band"] = np.arange(1, len(numbers) + 1)
    if values is None and scene.wavelengths is not None:
        coordinates["wavelength"] = ("band", scene.wavelengths, {"units": "nm"})
    if scene.crs is not None:
        coordinates["spatial_ref"] = ((), 0, {"crs_wkt": scene.crs, "spatial_ref": scene.crs})
    dimensions = ("band", "y", "x")[-numbers.ndim :]
    return xarray.DataArray(numbers, coordinates, dimensions, name or scene.name)


def _pixel_centres(scene: Any) -> dict[str, np.ndarray]:
    """Coordinates of rows and columns; their numbers where the scene is turned or has no place."""
    rows, columns = np.arange(scene.shape[0]) + 0.5, np.arange(scene.shape[1]) + 0.5
    if scene.transform is None or scene.transform[1] or scene.transform[3]:
        return {"y": rows - 0.5, "x": columns - 0.5}
    a, _, c, _, e, f = scene.transform
    return {"y": e * rows + f, "x": a * columns + c}
