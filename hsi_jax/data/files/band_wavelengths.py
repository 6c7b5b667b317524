"""The wavelengths of a cube's bands, where they are an array beside it in the same file.

So EMIT has them (sensor_band_parameters/wavelengths), and so do cubes that xarray has written.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hsi_jax.data.files.file_kind import HDF5_SUFFIXES
from hsi_jax.data.files.reader import open_arrays
from hsi_jax.data.scene.wavelengths import to_nanometres

NAMES = ("wavelength", "wavelengths", "center_wavelength", "center_wavelengths")


def wavelengths_beside(path: Path, cube: np.ndarray) -> np.ndarray | None:
    """Wavelengths of a cube of an HDF5 or netCDF file whose bands are its last axis.

    Args:
        path: of the file.
        cube: that was read from there, [rows, columns, bands].

    Returns:
        float64 [bands], nm; None where the file has none, or several that differ.

    Raises:
        InputError: if the file cannot be read.
    """
    suffixes = set(HDF5_SUFFIXES) - {".mat"}
    if path.suffix.lower() not in suffixes or cube.ndim != 3:
        return None
    with open_arrays(path) as arrays:
        named = (
            array.read()
            for array in arrays
            if array.path.rpartition(".")[2].lower() in NAMES
            and array.read is not None
            and array.shape == cube.shape[2:]
        )
        return only_wavelengths(named)


def only_wavelengths(found: Iterable[np.ndarray], unit: str | None = None) -> np.ndarray | None:
    """The wavelengths of some arrays, if they are the same; None otherwise.

    Args:
        found: arrays [bands].
        unit: of their numbers, or None to let these decide.
    """
    arrays = [np.asarray(array) for array in found]
    if not arrays or any(not np.array_equal(array, arrays[0]) for array in arrays):
        return None
    return to_nanometres(arrays[0], unit)
