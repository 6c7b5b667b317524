"""One array out of a .mat, .npy or .npz file."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io

from hsi_jax.errors import InputError


def read_array(path: str | Path, variable: str | None = None, ndim: int = 3) -> np.ndarray:
    """Reads one array of a file.

    MATLAB files of version 5 to 7.2 and of version 7.3 (which is HDF5, its axes in reverse
    order) give the same array. Pickled objects are never loaded.

    Args:
        path: a .mat, .npy or .npz file.
        variable: name of the array in the file; None takes the only array with `ndim` dimensions.
        ndim: number of dimensions wanted, 3 for a cube and 2 for a map.

    Returns:
        The array, C-contiguous, with the dtype of the file.

    Raises:
        InputError: if the file is missing, of another type or damaged, or if the variable is
            missing, has another number of dimensions or is not the only candidate.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}; check the path.")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise InputError(
            f"{path} has the suffix '{path.suffix}'; give a file of type {', '.join(_READERS)}."
        )
    try:
        arrays = read(path)
    except Exception as error:  # the parsers raise whatever a damaged file makes them trip over
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); "
            f"if it is damaged, copy or download it again."
        ) from error
    return np.ascontiguousarray(_select(arrays, path, variable, ndim))


def _read_mat(path: Path) -> dict[str, np.ndarray]:
    if not h5py.is_hdf5(path):
        return scipy.io.loadmat(path)
    with h5py.File(path) as file:
        datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        return {name: item[()].T for name, item in datasets.items()}


def _read_npy(path: Path) -> dict[str, np.ndarray]:
    return {"": np.load(path, allow_pickle=False)}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    # Opened here, because np.load leaves a damaged file open.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return dict(arrays)


_READERS = {".mat": _read_mat, ".npy": _read_npy, ".npz": _read_npz}


def _select(arrays: dict, path: Path, variable: str | None, ndim: int) -> np.ndarray:
    # A .mat file also holds its header as strings, and possibly cells and sparse matrices.
    numeric = {
        name: array
        for name, array in arrays.items()
        if isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
    }
    listing = ", ".join(f"{name or 'unnamed'} {a.shape}" for name, a in numeric.items()) or "none"
    if variable is None:
        candidates = [name for name, array in numeric.items() if array.ndim == ndim]
        if len(candidates) != 1:
            raise InputError(
                f"{path} has {len(candidates)} arrays of {ndim} dimensions where one is wanted; "
                f"name the variable to read. Its arrays: {listing}."
            )
        return numeric[candidates[0]]
    if variable not in numeric:
        raise InputError(f"{path} has no numeric array '{variable}'. Its arrays: {listing}.")
    if numeric[variable].ndim != ndim:
        raise InputError(
            f"'{variable}' of {path} has shape {numeric[variable].shape} where {ndim} dimensions "
            f"are wanted. Its arrays: {listing}."
        )
    return numeric[variable]
