"""weights.npz: its headers are read first, and its arrays only when they are those expected.

NumPy alone would make each array as large as its header says, and unpack whatever is packed.
"""

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from hsi_jax.errors import InputError
from hsi_jax.trained.network import Layout

# Trained weights hardly shrink when packed; the padded tables of a random forest do, some 20-fold.
MAX_RATIO = 100
FREE_BYTES = 2**20  # that a packed file of any size may unpack to
MAX_ARRAYS = 2**16

_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, SyntaxError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


def read_layouts(path: Path) -> dict[str, Layout]:
    """Shape and dtype of each array in a file .npz, without its numbers.

    Raises:
        InputError: if it is no such file, or unpacks to more than it can honestly hold.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            if len(members) > MAX_ARRAYS or len(members) > len({m.filename for m in members}):
                raise ValueError("it has too many arrays, or two of one name")
            packed = path.stat().st_size
            unpacked = sum(member.file_size for member in members)
            if unpacked > FREE_BYTES + MAX_RATIO * packed:
                raise ValueError(f"its {packed} bytes unpack to {unpacked}, which no weights do")
            return {member.filename[:-4]: _layout(file, member) for member in members}
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None


def read_arrays(path: Path, layouts: Mapping[str, Layout]) -> dict[str, np.ndarray]:
    """The arrays of a file .npz whose `read_layouts` have been checked.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in layouts}
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None


def _layout(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> Layout:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename[:200]!r} is not an array")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename[:200]!r} is packed in another way than NumPy packs")
    with file.open(member) as stream:
        shape, dtype = _read_header(stream)
        size = stream.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject or dtype.fields or size != member.file_size:
        raise ValueError(
            f"{member.filename[:200]!r} claims {list(shape)} of {dtype}, {size} bytes, but has "
            f"{member.file_size}"
        )
    return Layout(shape, dtype)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    number = npy.read_magic(stream)
    if number not in _READ_HEADER:
        raise ValueError(f"it is of version {number} of the format .npy")
    shape, _, dtype = _READ_HEADER[number](stream)
    return tuple(shape), dtype


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read: {str(error)[:300] or type(error).__name__}")
