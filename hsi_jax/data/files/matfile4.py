"""Arrays of MATLAB files of version 4, a header and the values of one after the other."""

import io
import math
import struct
from collections.abc import Iterator
from functools import partial

import numpy as np

from hsi_jax.data.files.matstream import MatError
from hsi_jax.data.files.stored_array import StoredArray, dense

_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
_NUMBERS, _TEXT, _SPARSE = range(3)
_HEADER = "iiiii"  # type, rows, columns, complex, bytes of the name
_MAX_NAME_BYTES = 64


def is_version_4(start: bytes) -> bool:
    """Returns whether a file begins like one of version 4.

    Args:
        start: its first bytes.
    """
    return len(start) >= 20 and _byte_order(start) is not None


def list_arrays(file: io.BufferedReader) -> Iterator[StoredArray]:
    """Lists what a file holds; arrays are read with the dtype in which they are stored.

    Raises:
        MatError: if the file does not follow the format.
    """
    size = file.seek(0, io.SEEK_END)
    start = 0
    while start < size:
        file.seek(start)
        header = file.read(20)
        order = _byte_order(header) if len(header) == 20 else None
        if order is None:
            raise MatError(f"there is no array at byte {start}")
        code, rows, columns, is_complex, name_bytes = struct.unpack(order + _HEADER, header)
        dtype = np.dtype(order + _TYPES[code // 10 % 10])
        if min(rows, columns) < 0 or not 1 <= name_bytes <= _MAX_NAME_BYTES:
            raise MatError(f"the array at byte {start} claims {rows} x {columns} values")
        name = file.read(name_bytes).split(b"\0")[0].decode()
        start += 20 + name_bytes
        num_bytes = rows * columns * dtype.itemsize * (2 if is_complex else 1)
        if start + num_bytes > size:
            raise MatError(f"{name!r} claims {num_bytes} bytes of {size - start}")
        values = partial(_values, file, start, (rows, columns), dtype)
        if is_complex or code % 10 == _TEXT:
            yield StoredArray(name, "complex" if is_complex else "text", (rows, columns))
        elif code % 10 == _SPARSE:
            yield _sparse(name, values)
        else:
            native = dtype.newbyteorder("=")
            yield StoredArray(name, native.name, (rows, columns), native, values)
        start += num_bytes


def _byte_order(header: bytes) -> str | None:
    """That of the code of the type, whose thousands say it; None if it is no such code."""
    for order in "<>":
        (code,) = struct.unpack(order + "i", header[:4])
        machine, rest = divmod(code, 1000)
        if machine == "<>".index(order) and rest // 10 < len(_TYPES) and rest % 10 <= _SPARSE:
            return order
    return None


def _values(file, start: int, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    file.seek(start)
    values = np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype)
    return values.reshape(shape, order="F").astype(dtype.newbyteorder("="), order="C")


def _sparse(name: str, read_table) -> StoredArray:
    """A row for each value: its row and column, from 1, and itself; the last tells the shape."""
    table = read_table()
    if table.shape[1] == 4:  # real and imaginary parts
        return StoredArray(name, "sparse complex", ())
    if table.shape[1] != 3 or not len(table):
        raise MatError(f"{name!r} has a table of shape {table.shape}")
    whole = np.rint(table[:, :2])
    if not np.array_equal(whole, table[:, :2]) or whole.min() < 0 or whole.max() > 2**31:
        raise MatError(f"{name!r} has rows or columns that are no whole numbers")
    places = whole.astype(np.int64)
    shape = (int(places[-1, 0]), int(places[-1, 1]))

    def read() -> np.ndarray:
        return dense(places[:-1, 0] - 1, places[:-1, 1] - 1, table[:-1, 2], shape)

    kind = f"sparse {table.dtype.name}"
    return StoredArray(name, kind, shape, table.dtype, read, stored_whole=False)
