"""Reads one array of a .mat, .npy, .npz or HDF5 file, which may be damaged or made to do harm."""

import contextlib
import io
import itertools
import math
import os
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import psutil

from hsi_jax.data.files import hdf5_arrays, matfile, matfile4
from hsi_jax.data.files.file_kind import HDF5_SUFFIXES, no_such_file, remedy
from hsi_jax.data.files.stored_array import MAX_PARTS, StoredArray
from hsi_jax.errors import InputError

_MAX_INFLATION = 1032  # a byte of deflate cannot become more bytes (zlib's technical details)
_NPY_HEAD_BYTES = 11_000  # NumPy takes no header of more than 10,000
_MAX_LISTED = 40


def read_array(
    path: str | Path,
    variable: str | None = None,
    ndim: int | Sequence[int] = 3,
    argument: str = "variable",
    *,
    sizes: Collection[int] = (),
) -> np.ndarray:
    """The array that `read_with_nodata` reads, alone."""
    return read_with_nodata(path, variable, ndim, argument, sizes=sizes)[0]


def read_with_nodata(
    path: str | Path,
    variable: str | None = None,
    ndim: int | Sequence[int] = 3,
    argument: str = "variable",
    *,
    sizes: Collection[int] = (),
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Reads one array of a file.

    A MATLAB file gives the same array in version 4, 5 to 7.2, and 7.3 (which is HDF5 with the axes
    in reverse order; an HDF5 file without MATLAB's marks keeps its axes). Arrays in structs and
    cells have paths such as "hsi.Data" and "scenes[1]". Sparse arrays are filled with zeros,
    logical ones are bool. Pickled objects are never loaded, and other arrays of the file are not
    read. Before memory is taken, the size is compared with the file and with free memory.

    Args:
        path: a .mat, .npy, .npz or HDF5 file (.h5, .hdf5, .he5, .hdf, .nc, .nc4).
        variable: path of the array in the file, with points or slashes. None takes the
            only one with `ndim` axes: first of those outside of structs and cells, last of logical
            ones; MATLAB's vectors, which have two axes, only where there is nothing else.
        ndim: number of axes of the array, 3 for a cube and 2 for a map; or several that will do,
            the best first.
        argument: what messages call `variable`.
        sizes: where it is not named, an array of this many numbers is preferred.

    Returns:
        The array, C-contiguous, with the dtype of the file, or unpacked to floats where an HDF5
        file says so; and the values that stand for no data in it.

    Raises:
        InputError: if the file is missing, of another type or damaged, or if the variable is
            missing, has another number of axes, is not the only candidate or does not fit into
            memory.
    """
    path = Path(path)
    ndims = (ndim,) if isinstance(ndim, int) else tuple(ndim)
    with open_arrays(path) as arrays:
        if variable is None:
            fitting = [array for array in arrays if math.prod(array.shape) in sizes]
            stored = _only(arrays, path, ndims, argument=argument, preferred=fitting)
        else:
            stored = _named(arrays, path, variable, ndims)
        _check_size(stored, path)
        assert stored.read is not None  # of what both give
        array = stored.read()
        if array.shape != stored.shape:
            raise ValueError(f"an array of shape {array.shape}, not {stored.shape}")
        return np.ascontiguousarray(array), stored.nodata_values


def array_names(path: str | Path) -> list[str]:
    """The paths of the arrays of numbers in a file that `read_array` reads.

    Raises:
        InputError: if it cannot be read.
    """
    with open_arrays(Path(path)) as arrays:
        return [array.path for array in arrays if array.read is not None]


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[list[StoredArray]]:
    """The arrays of a file, none of them read.

    Raises:
        InputError: whatever is raised while it is open.
    """
    if not os.path.isfile(path):
        raise no_such_file(path)
    open_file = _READERS.get(path.suffix.lower())
    if open_file is None:
        raise InputError(
            f"{path} has the suffix '{path.suffix}'; give a file of type {', '.join(_READERS)}."
        )
    try:
        with open_file(path) as arrays:
            yield arrays
    except InputError:
        raise
    except Exception as error:  # a damaged file may make the parsers raise anything
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); {remedy(path)}."
        ) from error


@contextlib.contextmanager
def _open_mat(path: Path) -> Iterator[list[StoredArray]]:
    import h5py  # slow to import

    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            yield [*hdf5_arrays.list_arrays(file)]
        return
    if path.suffix.lower() != ".mat":
        raise InputError(f"{path} has no HDF5 inside; {remedy(path)}.")
    with path.open("rb") as stream:
        old = matfile4.is_version_4(stream.read(20))
        yield [*(matfile4 if old else matfile).list_arrays(stream)]


@contextlib.contextmanager
def _open_npy(path: Path) -> Iterator[list[StoredArray]]:
    with path.open("rb") as file:
        yield [stored_npy("", lambda: file)]


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[list[StoredArray]]:
    with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as stack:
        members = archive.infolist()
        # Other codings inflate without bounds, or claim memory of their own.
        coded = {member.compress_type for member in members}
        if len(members) > MAX_PARTS or not coded <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError("numpy writes no such archive")
        yield [
            stored_npy(
                name.removesuffix(".npy"),
                lambda name=name: stack.enter_context(archive.open(name)),
            )
            for name in archive.namelist()
            if name.endswith(".npy")
        ]


def stored_npy(name: str, open_member: Callable[[], IO[bytes]]) -> StoredArray:
    """The array of a .npy; only its header is read, and only so much as NumPy would take.

    Args:
        name: path of the array.
        open_member: gives the file, at its start or where it was left.

    Raises:
        ValueError: if it is no such file.
    """
    head = io.BytesIO(open_member().read(_NPY_HEAD_BYTES))
    version = np.lib.format.read_magic(head)
    if version not in _NPY_HEADERS:
        raise ValueError(f"a .npy of version {version}")
    shape, _, dtype = _NPY_HEADERS[version](head)
    if dtype.kind not in "biuf":
        kind = {"O": "pickled objects, which are never loaded", "c": "complex"}.get(
            dtype.kind, "text" if dtype.kind in "SU" else "other"
        )
        return StoredArray(name, kind, shape)

    def read():
        again = open_member()
        again.seek(0)
        return np.lib.format.read_array(again, allow_pickle=False)

    kind = "logical" if dtype.kind == "b" else dtype.newbyteorder("=").name
    return StoredArray(name, kind, shape, dtype, read)


# Version 3 differs in the names of fields, which no array of numbers has.
_NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_READERS = {
    ".mat": _open_mat,
    ".npy": _open_npy,
    ".npz": _open_npz,
    **dict.fromkeys(HDF5_SUFFIXES, _open_mat),
}
ARRAY_SUFFIXES = tuple(_READERS)


def _only(
    arrays: list[StoredArray],
    path: Path,
    ndims: tuple[int, ...],
    *,
    argument: str,
    preferred: list[StoredArray],
) -> StoredArray:
    """The only array with as many axes as wanted, of those preferred or else of all."""
    for some, ndim in itertools.product((preferred, arrays), ndims):
        candidates = _candidates(some, ndim)
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise InputError(
                f"{path} has {len(candidates)} arrays with {ndim} axes; name the one to read with "
                f"`{argument}`. {_listing(arrays)}"
            )
    raise InputError(
        f"{path} has no array of numbers with {_words(ndims)} axes. {_listing(arrays)}"
    )


def _candidates(arrays: list[StoredArray], ndim: int) -> list[StoredArray]:
    readable = [array for array in arrays if array.read and len(array.shape) == ndim]
    numeric = [array for array in readable if array.is_numeric]
    outer = [array for array in numeric if not array.is_nested]
    found = outer or numeric or readable
    return [array for array in found if min(array.shape, default=0) > 1] or found


def _named(
    arrays: list[StoredArray], path: Path, variable: str, ndims: tuple[int, ...]
) -> StoredArray:
    by_path = {array.path: array for array in reversed(arrays)}
    found = by_path.get(variable) or by_path.get(variable.strip("/").replace("/", "."))
    if found is None:
        raise InputError(f"{path} has no array '{variable}'. {_listing(arrays)}")
    if found.read is None:
        raise InputError(
            f"'{variable}' of {path} is no array of numbers, but {found.kind}. {_listing(arrays)}"
        )
    if len(found.shape) not in ndims:
        raise InputError(
            f"'{variable}' of {path} has shape {found.shape}, but it must have {_words(ndims)} "
            f"axes. {_listing(arrays)}"
        )
    return found


def _words(ndims: tuple[int, ...]) -> str:
    *most, last = map(str, sorted(ndims))
    return f"{', '.join(most)} or {last}" if most else last


def _listing(arrays: list[StoredArray]) -> str:
    """What there is, a line each, arrays of numbers first."""
    if not arrays:
        return "It holds no arrays."
    ordered = sorted(arrays, key=lambda array: (not array.is_numeric, array.read is None))
    lines = [str(array) for array in ordered[:_MAX_LISTED]]
    if len(arrays) > _MAX_LISTED:
        lines.append(f"and {len(arrays) - _MAX_LISTED} more")
    return "It holds:" + "".join(f"\n    {line}" for line in lines)


def _check_size(array: StoredArray, path: Path) -> None:
    """Checks that the file can hold the array, and that it fits into free memory."""
    size = path.stat().st_size
    if array.stored_whole and array.num_bytes > _MAX_INFLATION * size:
        raise InputError(
            f"{path} has {size} bytes, but claims an array of shape {array.shape} in "
            f"{array.num_bytes} bytes; it is damaged: copy or download it again."
        )
    free = free_memory()
    if array.num_bytes > free:
        raise InputError(
            f"The array of shape {array.shape} in {path} takes {array.num_bytes / 1e9:.1f} GB, but "
            f"{free / 1e9:.1f} GB of memory are free; cut the scene or use a machine with more."
        )


def free_memory() -> int:
    """Bytes that this process may still take: what is free, or less where `ulimit -v` says so."""
    free = psutil.virtual_memory().available
    try:
        import resource
    except ImportError:  # Windows
        return free
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return free
    return max(0, min(free, limit - psutil.Process().memory_info().vms))
