"""Reads files of scenes and of label maps, whatever their format.

`read_raster` reads a file as a whole, `open_raster` window by window.
"""

import glob
import itertools
import math
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from hsi_jax.data.files.band_wavelengths import wavelengths_beside
from hsi_jax.data.files.envi import both_files
from hsi_jax.data.files.file_kind import no_such_file, remedy
from hsi_jax.data.files.gdal_source import TIFF_SUFFIXES, open_gdal
from hsi_jax.data.files.raster_source import Raster, RasterSource
from hsi_jax.data.files.reader import ARRAY_SUFFIXES, free_memory, read_with_nodata
from hsi_jax.data.files.zarr_cube import SUFFIX, is_zarr, read_zarr
from hsi_jax.errors import InputError


def read_raster(
    path: str | Path,
    variable: str | None = None,
    *,
    ndim: int | Sequence[int] = 3,
    argument: str = "variable",
    sizes: Collection[int] = (),
) -> Raster:
    """Reads a file of a scene or of labels as a whole.

    Args:
        path: a .mat, .npy, .npz, netCDF or HDF5 file; a Zarr store (.zarr); a GeoTIFF; an ENVI
            file or its header (.hdr); or several GeoTIFF files whose bands follow each other: with
            commas between them, or as a pattern such as "scene/B*.tif".
        variable: the array in a .mat or .npz file, where it has several.
        ndim: axes of the array that is wanted; 2 for a map, which has one band in its file; or
            several that will do, the best first.
        argument: what messages call `variable`.
        sizes: as of `read_with_nodata`.

    Raises:
        InputError: if the file or the array is not there or cannot be read, if several files do
            not lie on one grid, or if a library is missing.
    """
    files = raster_files(path)
    if len(files) == 1 and _holds_arrays(files[0]):
        array, nodata = read_with_nodata(files[0], variable, ndim, argument, sizes=sizes)
        wavelengths = wavelengths_beside(files[0], array)
        return Raster(array, nodata_values=nodata, wavelengths=wavelengths)
    if is_zarr(path):
        return read_zarr(files[0], variable, argument=argument)
    source = open_raster(path, variable, argument=argument)
    num_bytes, free = math.prod(source.shape) * source.dtype.itemsize, free_memory()
    if num_bytes > free:
        raise InputError(
            f"{path} of shape {source.shape} takes {num_bytes / 1e9:.1f} GB, but {free / 1e9:.1f} "
            f"GB of memory are free; cut the scene or use a machine with more."
        )
    array, ndims = source.read(), (ndim,) if isinstance(ndim, int) else tuple(ndim)
    if ndims[0] == 2 and array.shape[2] == 1:
        return Raster(array[:, :, 0], **source.facts)
    if 3 not in ndims:
        raise InputError(f"{path} has {array.shape[2]} bands; give a map, which has one.")
    return Raster(array, **source.facts)


def open_raster(
    path: str | Path, variable: str | None = None, *, argument: str = "variable"
) -> RasterSource:
    """Opens a cube to read it window by window.

    A .mat or .npz file is read as a whole all the same.

    Args:
        path: as of `read_raster`.
        variable: as of `read_raster`.
        argument: what messages call `variable`.

    Raises:
        InputError: as `read_raster`, but that a file may be larger than the memory.
    """
    files = raster_files(path)
    if len(files) == 1 and files[0].suffix.lower() == ".npy":
        return _mapped(files[0])
    if len(files) == 1 and _holds_arrays(files[0]):
        array, nodata = read_with_nodata(files[0], variable, 3, argument=argument)
        wavelengths = wavelengths_beside(files[0], array)
        return Raster(array, nodata_values=nodata, wavelengths=wavelengths).source()
    if is_zarr(path):
        return read_zarr(files[0], variable, argument=argument).source()
    if variable is not None:
        raise InputError(f"{path} has no arrays with names; leave out `{argument}`.")
    return open_gdal(files)


def stored_source(path: str | Path, raster: Raster) -> RasterSource | None:
    """Where a scene may read its numbers once more, so that it need not hold them as float32.

    That is the file, where its windows can be read. Else it is the array that was read, unless that
    takes more memory than float32, which gives None; and so does one that has not three axes.

    Args:
        path: as of `read_raster`.
        raster: what was read from there.
    """
    files = raster_files(path)
    if raster.array.ndim != 3:
        return None
    if is_zarr(path):
        return raster.source()
    if len(files) > 1 or files[0].suffix.lower() == ".npy" or not _holds_arrays(files[0]):
        return open_raster(path)
    return raster.source() if raster.array.dtype.itemsize <= 4 else None


def raster_name(path: str | Path) -> str:
    """A short name of what a path names: that of its file or, of several, of their folder."""
    files = raster_files(path)
    return files[0].stem if len(files) == 1 else files[0].resolve().parent.name


def raster_files(path: str | Path) -> list[Path]:
    """The files that a path names: one, several with commas, or those that fit a pattern.

    Files of a pattern come in the order in which people count: B2 before B10.

    Raises:
        InputError: if one is not there, or none fits.
    """
    if os.path.isfile(path) or is_zarr(
        path
    ):  # which takes a name that is too long for a missing one
        return [Path(path)]
    files, parts = [], str(path).split(",")
    while parts:
        # A folder's name may have commas: the fewest parts that name a file belong together.
        for count in range(1, len(parts) + 1):
            if found := _fitting(",".join(parts[:count]).strip()):
                break
        else:
            name = parts[0].strip()
            raise no_such_file(name or path, "that fits " if glob.has_magic(name) else "")
        files, parts = files + found, parts[count:]
    return files


def files_read(path: str | Path) -> list[Path]:
    """The files that a path names, and the numbers or headers of ENVI that belong to them."""
    files = raster_files(path)
    alone = (*ARRAY_SUFFIXES, *TIFF_SUFFIXES, SUFFIX)
    parts = ([file] if file.suffix.lower() in alone else both_files(file) for file in files)
    return list(itertools.chain.from_iterable(parts))


def _fitting(name: str) -> list[Path]:
    """The files that a name or pattern fits; in an existing folder it is not taken as one."""
    if os.path.isfile(name):
        return [Path(name)]
    folder, pattern = os.path.split(name)
    if os.path.isdir(folder):
        folder = glob.escape(folder)
    found = sorted(map(Path, glob.glob(os.path.join(folder, pattern))), key=_counted)
    return [file for file in found if file.is_file()]


def _counted(path: Path) -> list:
    """A key that sorts numbers in names by their value."""
    parts = re.split(r"(\d+)", path.name)
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def _holds_arrays(path: Path) -> bool:
    return path.suffix.lower() in ARRAY_SUFFIXES


def _mapped(path: Path) -> RasterSource:
    """A .npy file, of which only what is used gets into memory."""
    array = _map(path)
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        raise InputError(
            f"{path} has an array of shape {array.shape} and dtype {array.dtype}; give numbers, "
            f"[rows, columns, bands]."
        )
    rows, columns, bands = array.shape

    def read(rows: slice, columns: slice) -> np.ndarray:
        # Opened anew for each window: pages that are read count as memory while the file is open.
        return np.array(_map(path)[rows, columns])

    return RasterSource((rows, columns, bands), array.dtype, read)


def _map(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise no_such_file(path) from None
    except Exception as error:  # a damaged file may make the parser raise anything
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); {remedy(path)}."
        ) from error
