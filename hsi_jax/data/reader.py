"""One array out of a .mat, .npy or .npz file, which may be damaged or made to do harm."""

import contextlib
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import psutil

from hsi_jax.data.matfile import list_arrays
from hsi_jax.errors import InputError

MOST_INFLATION = 1032  # a byte of deflate cannot become more (zlib's technical details)
NPY_HEAD_BYTES = 11_000  # NumPy takes no header of more than 10,000


@dataclass(frozen=True)
class _Stored:
    """An array that its file claims to have; nothing of its size has been allocated yet."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    @property
    def size(self) -> int:
        """Bytes, a Python int, which no claim can make overflow."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_array(path: str | Path, variable: str | None = None, ndim: int = 3) -> np.ndarray:
    """Reads one array of a file.

    MATLAB files of version 5 to 7.2 and of version 7.3 (which is HDF5, its axes in reverse
    order) give the same array. Pickled objects are never loaded, other arrays of the file are not
    read, and no memory is taken that the file or the machine cannot fill.

    Args:
        path: a .mat, .npy or .npz file.
        variable: name of the array in the file; None takes the only array with `ndim` dimensions.
        ndim: number of dimensions wanted, 3 for a cube and 2 for a map.

    Returns:
        The array, C-contiguous, with the dtype of the file.

    Raises:
        InputError: if the file is missing, of another type or damaged, or if the variable is
            missing, has another number of dimensions, is not the only candidate or does not fit
            into memory.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}; check the path.")
    open_file = _READERS.get(path.suffix.lower())
    if open_file is None:
        raise InputError(
            f"{path} has the suffix '{path.suffix}'; give a file of type {', '.join(_READERS)}."
        )
    try:
        with open_file(path) as arrays:
            stored = _select(arrays, path, variable, ndim)
            _check_size(stored, path)
            array = stored.read()
        if array.shape != stored.shape:
            raise ValueError(f"an array of shape {array.shape}, not {stored.shape}")
        return np.ascontiguousarray(array)
    except InputError:
        raise
    except Exception as error:  # the parsers raise whatever a damaged file makes them trip over
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); "
            f"if it is damaged, copy or download it again."
        ) from error


@contextlib.contextmanager
def _open_mat(path: Path) -> Iterator[dict[str, _Stored]]:
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            yield {
                array.name: _Stored(array.shape, array.dtype, lambda array=array: array.read(file))
                for array in list_arrays(file)
            }
        return
    with h5py.File(path) as file:
        datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        yield {
            name: _Stored(item.shape[::-1], item.dtype, lambda item=item: item[()].T)
            for name, item in datasets.items()
            if item.shape is not None
        }


@contextlib.contextmanager
def _open_npy(path: Path) -> Iterator[dict[str, _Stored]]:
    with path.open("rb") as file:
        yield {"": _stored_npy(lambda: file)}


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[dict[str, _Stored]]:
    with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as stack:
        yield {
            name.removesuffix(".npy"): _stored_npy(
                lambda name=name: stack.enter_context(archive.open(name))
            )
            for name in archive.namelist()
            if name.endswith(".npy")
        }


def _stored_npy(open_member: Callable) -> _Stored:
    """Reads the header only, which may itself claim to be long."""
    head = io.BytesIO(open_member().read(NPY_HEAD_BYTES))
    version = np.lib.format.read_magic(head)
    if version not in _NPY_HEADERS:
        raise ValueError(f"a .npy of version {version}")
    shape, _, dtype = _NPY_HEADERS[version](head)

    def read():
        again = open_member()
        again.seek(0)
        return np.lib.format.read_array(again, allow_pickle=False)

    return _Stored(shape, dtype, read)


# Version 3 differs in the names of fields, which no array of numbers has.
_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_READERS = {".mat": _open_mat, ".npy": _open_npy, ".npz": _open_npz}


def _select(arrays: dict[str, _Stored], path: Path, variable: str | None, ndim: int) -> _Stored:
    # A .mat file may also hold text, cells and sparse matrices.
    numeric = {name: array for name, array in arrays.items() if array.dtype.kind in "biuf"}
    listing = ", ".join(f"{name or 'unnamed'} {a.shape}" for name, a in numeric.items()) or "none"
    if path.suffix.lower() != ".mat" and any(array.dtype.hasobject for array in arrays.values()):
        listing += ", beside pickled objects, which are never loaded"
    if variable is None:
        candidates = [array for array in numeric.values() if len(array.shape) == ndim]
        if len(candidates) != 1:
            raise InputError(
                f"{path} has {len(candidates)} arrays of {ndim} dimensions where one is wanted; "
                f"name the variable to read. Its arrays: {listing}."
            )
        return candidates[0]
    if variable not in numeric:
        raise InputError(f"{path} has no numeric array '{variable}'. Its arrays: {listing}.")
    if len(numeric[variable].shape) != ndim:
        raise InputError(
            f"'{variable}' of {path} has shape {numeric[variable].shape} where {ndim} dimensions "
            f"are wanted. Its arrays: {listing}."
        )
    return numeric[variable]


def _check_size(array: _Stored, path: Path) -> None:
    """Before memory is taken: the file must be able to fill it, and the machine to give it."""
    size = path.stat().st_size
    if array.size > MOST_INFLATION * size:
        raise InputError(
            f"{path} has {size} bytes, but claims an array of shape {array.shape} in {array.size} "
            f"bytes; it is damaged: copy or download it again."
        )
    free = psutil.virtual_memory().available
    if array.size > free:
        raise InputError(
            f"The array of shape {array.shape} in {path} takes {array.size / 1e9:.1f} GB, but "
            f"{free / 1e9:.1f} GB of memory are free; cut the scene or use a larger machine."
        )
