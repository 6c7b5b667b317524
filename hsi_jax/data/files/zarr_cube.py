"""Cubes of Zarr stores, read by xarray: scale, fill values, wavelengths and position."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.data.files.band_wavelengths import NAMES, only_wavelengths
from hsi_jax.data.files.file_kind import remedy
from hsi_jax.data.files.raster_source import Raster
from hsi_jax.data.files.reader import free_memory
from hsi_jax.data.scene.array_axes import find_axes, find_place
from hsi_jax.errors import InputError

SUFFIX = ".zarr"


def is_zarr(path: str | Path) -> bool:
    """Whether a path is a folder of that name."""
    return str(path).lower().rstrip("/").endswith(SUFFIX) and Path(path).is_dir()


def read_zarr(path: Path, variable: str | None, *, argument: str = "variable") -> Raster:
    """Reads one cube of a store.

    Args:
        path: of the store, a folder.
        variable: path of the array, with points or slashes between groups; None for the only one
            of three axes.
        argument: what messages call `variable`.

    Raises:
        InputError: if a library is missing, the store cannot be read, it has no such array or
            several, or that one does not fit into memory.
    """
    try:
        import xarray
        import zarr  # noqa: F401
    except ImportError:
        raise InputError(
            f"{path} needs xarray and zarr; python -m pip install -e '.[netcdf]'"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a store without an index of its parts
            tree = xarray.open_datatree(path, engine="zarr", chunks=None)
        with tree:
            return _read(path, _arrays(tree), variable, argument)
    except InputError:
        raise
    except Exception as error:  # a damaged store may make the parsers raise anything
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); {remedy(path)}."
        ) from error


def _arrays(tree: Any) -> dict[str, Any]:
    """All arrays of a store by path, as DataArrays."""
    return {
        ".".join([*node.path.strip("/").split("/"), str(name)]).lstrip("."): dataset[name]
        for node in tree.subtree
        for dataset in [node.to_dataset(inherit=False)]
        for name in dataset.variables
    }


def _read(path: Path, arrays: dict[str, Any], variable: str | None, argument: str) -> Raster:
    cubes = {name: array for name, array in arrays.items() if array.ndim == 3}
    if variable is not None:
        name = variable.strip("/").replace("/", ".")
        cubes = {each: array for each, array in cubes.items() if each == name}
    if len(cubes) != 1:
        listed = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:40])
        raise InputError(
            f"{path} has {len(cubes)} such arrays of three axes; name the one to read with "
            f"`{argument}`. It has {listed}."
        )
    ((name, array),) = cubes.items()
    num_bytes, free = math.prod(array.shape) * array.dtype.itemsize, free_memory()
    if array.dtype.kind not in "iuf" or num_bytes > free:
        raise InputError(
            f"{name} of {path}, {array.shape} of {array.dtype}, takes {num_bytes / 1e9:.1f} GB of "
            f"{free / 1e9:.1f} GB that are free, or holds no numbers; cut the scene"
        )
    bands, rows, columns = find_axes(array)
    array = array.transpose(rows, columns, bands)
    crs, transform = find_place(array, rows, columns)
    beside = [
        other
        for each, other in arrays.items()
        if each.rpartition(".")[2].lower() in NAMES and other.shape == array.shape[2:]
    ]
    unit = beside[0].attrs.get("units") if beside else None
    cube, fill = np.ascontiguousarray(array.values), array.encoding.get("_FillValue")
    values = () if fill is None else (float("nan"),)  # which xarray has made of it
    return Raster(
        cube,
        nodata_values=values,
        wavelengths=only_wavelengths([other.values for other in beside], unit),
        crs=crs,
        transform=transform,
    )
