"""Arrays of MATLAB files of version 5 to 7.2, also those in structs and cells.

scipy.io, which pymatreader calls too, fails `tests/field/test_damaged_files.py`: it trusts what it
reads. Of 600 damaged files that are not compressed, 13 end the whole process by a signal, and 5
take memory that they do not justify (scipy 1.17). Layout: MathWorks, "MAT-File Format", chapter
"Level 5 MAT-File Format".
"""

import io
import math
import struct
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from hsi_jax.data.files.matstream import Deflated, MatError, Plain
from hsi_jax.data.files.stored_array import MAX_DEPTH, MAX_PARTS, StoredArray, dense, indexed

_HEADER_BYTES = 128
_COMPRESSED, _MATRIX = 15, 14  # types of elements
_NAMES, _SHAPES, _FLAGS = (1, 16), (5, 6), (6,)  # int8 or UTF-8, int32 or uint32, uint32
_TYPES = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
_CELL, _STRUCT, _OBJECT, _TEXT, _SPARSE = range(1, 6)  # classes of matrices
_NUMERIC = {
    **{6: "float64", 7: "float32", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16"},
    **{12: "int32", 13: "uint32", 14: "int64", 15: "uint64"},
}
_OPAQUE = 17
_OTHERS = {_CELL: "cell", _STRUCT: "struct", _OBJECT: "object", _TEXT: "text", 16: "function"}
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_READ_BYTES = 2**25  # of an array, at a time
_MAX_NAME_BYTES, _MAX_FIELDS_BYTES = 2048, 2**20


def list_arrays(file: io.BufferedReader) -> Iterator[StoredArray]:
    """Lists what a file holds; cells and structs are given by their parts.

    Arrays are read with MATLAB's axes and the dtype in which they are stored, which may be smaller
    than their class in MATLAB; logical ones as bool.

    Raises:
        MatError, zlib.error: if the file is of another version or does not follow the format;
            reading an array may raise them as well.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    order = _byte_order(file.read(_HEADER_BYTES))
    start, room = _HEADER_BYTES, MAX_PARTS
    while start < size:
        kind, length = Plain(file, order, start, size - start).unpack("II")
        start += 8
        if length == 0 or start + length > size:
            raise MatError(f"the element at byte {start - 8} claims {length} bytes of {size}")
        if kind not in (_MATRIX, _COMPRESSED):
            raise MatError(f"the element at byte {start - 8} is of type {kind}, not a matrix")
        stream = Deflated if kind == _COMPRESSED else Plain
        variable = _Variable(partial(stream, file, order, start, length), room)
        yield from variable.list(None if kind == _COMPRESSED else length)
        room = variable.room
        start += length


def _byte_order(header: bytes) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None or struct.unpack(f"{order}H", header[124:126])[0] >> 8 != 1:
        raise MatError("not a MATLAB file of version 4 to 7.3")
    return order


class _Variable:
    """One variable of a file, with all its parts.

    Attributes:
        room: how many more cells and fields may be looked into.
    """

    def __init__(self, open_stream: Callable[[], Plain], room: int):
        self._open = open_stream
        self.room = room
        self._end = 0  # of the matrix, in the stream

    def list(self, length: int | None) -> Iterator[StoredArray]:
        """Lists its parts; `length` is that of the matrix, None where its tag comes first."""
        stream = self._open()
        if length is None:
            length = _matrix_length(stream, "a variable")
        self._end = stream.at + length
        yield from self._list_matrix(stream, "", self._end, 0)

    def _list_matrix(self, stream: Plain, path: str, end: int, depth: int) -> Iterator[StoredArray]:
        """Lists the matrix whose content begins here. Without a path, it tells its own name."""
        flags, max_stored = stream.numbers("II", stream.small(_FLAGS, 8))
        kind, shape = flags & 0xFF, ()
        if kind != _OPAQUE:  # which has no shape here
            raw = stream.small(_SHAPES, 4 * 32)
            shape = stream.numbers(f"{len(raw) // 4}i", raw)
        name = stream.small(_NAMES, _MAX_NAME_BYTES).decode()
        path = path or name
        if not path:  # MATLAB writes such an array for itself where there are functions
            return
        if (kind != _OPAQUE and (not len(shape) >= 2 or min(shape) < 0)) or stream.at > end:
            raise MatError(f"{path!r} claims a shape of {shape} in {end} bytes")
        if kind == _OPAQUE or flags & _COMPLEX:
            yield StoredArray(path, "object" if kind == _OPAQUE else "complex", shape)
        elif kind in _NUMERIC:
            name = "logical" if flags & _LOGICAL else _NUMERIC[kind]
            yield self._numbers(stream, path, shape, name, end=end)
        elif kind == _SPARSE and len(shape) == 2 and math.prod(shape):
            name = "logical" if flags & _LOGICAL else "float64"
            yield self._sparse(stream.at, path, shape, name, max_stored=max_stored)
        elif kind in (_CELL, _STRUCT, _OBJECT):
            yield from self._list_parts(stream, path, shape, kind, end=end, depth=depth)
        elif kind in _OTHERS or kind == _SPARSE:
            yield StoredArray(path, _OTHERS.get(kind, "sparse"), shape)
        else:
            raise MatError(f"{path!r} is of the unknown class {kind}")

    def _list_parts(
        self, stream: Plain, path: str, shape: tuple, kind: int, *, end: int, depth: int
    ) -> Iterator[StoredArray]:
        if kind == _OBJECT:
            stream.small(_NAMES, _MAX_NAME_BYTES)  # its class
        fields = [""] if kind == _CELL else _fields(stream, path)
        count = math.prod(shape)
        if depth == MAX_DEPTH or count * len(fields) > self.room:
            yield StoredArray(path, _OTHERS[kind], shape)
            return
        self.room -= count * len(fields)
        for number in range(count):
            one = path if kind != _CELL and count == 1 else indexed(path, number, shape)
            for field in fields:
                length = _matrix_length(stream, path)
                after = stream.at + length
                if length:  # else it is []
                    part = f"{one}.{field}" if field else one
                    yield from self._list_matrix(stream, part, after, depth + 1)
                if stream.at > after or after > end:
                    raise MatError(f"a part of {path!r} is longer than it says")
                stream.skip(after - stream.at)

    def _numbers(
        self, stream: Plain, path: str, shape: tuple, kind: str, *, end: int
    ) -> StoredArray:
        dtype, length, _ = _values(stream, path)
        at = stream.at
        if at + length > end or math.prod(shape) * dtype.itemsize != length:
            raise MatError(f"{path!r} has {length} bytes for a shape of {shape} of {dtype}")
        native = np.dtype(bool) if kind == "logical" else dtype.newbyteorder("=")

        def read() -> np.ndarray:
            stream = self._open()
            stream.skip(at)
            array = np.empty(shape, native)
            # The last axis varies slowest in the file. Some of it at a time: no second copy.
            step = max(1, _READ_BYTES * shape[-1] // max(1, length))
            for first in range(0, shape[-1], step):
                part = array[..., first : first + step]
                values = np.frombuffer(stream.take(part.size * dtype.itemsize), dtype)
                part[...] = values.reshape(part.shape, order="F")
            stream.finish(self._end)
            return array

        return StoredArray(path, kind, shape, native, read)

    def _sparse(
        self, at: int, path: str, shape: tuple, kind: str, *, max_stored: int
    ) -> StoredArray:
        """The rows of the values, column after column; where each column begins; the values."""

        def read() -> np.ndarray:
            stream = self._open()
            stream.skip(at)
            size = max(1, math.prod(shape))  # of which MATLAB stores one at least
            rows = _take_values(stream, path, size)
            starts = _take_values(stream, path, shape[1] + 1)
            values = _take_values(stream, path, size, logical=kind == "logical")
            stream.finish(self._end)
            counts = np.diff(starts.astype(np.int64))
            if len(starts) != shape[1] + 1 or starts[0] != 0 or counts.min() < 0:
                raise MatError(f"the columns of {path!r} do not follow one another")
            stored = int(starts[-1])
            if stored > min(len(rows), len(values)):
                raise MatError(f"{path!r} has fewer values than it says")
            columns = np.repeat(np.arange(shape[1]), counts)
            return dense(rows[:stored], columns, values[:stored].astype(dtype), shape)

        if max_stored > max(1, math.prod(shape)):
            raise MatError(f"{path!r} claims {max_stored} values in a shape of {shape}")
        dtype = np.dtype(bool if kind == "logical" else kind)
        name = kind if kind == "logical" else f"sparse {kind}"
        return StoredArray(path, name, shape, dtype, read, stored_whole=False)


def _matrix_length(stream: Plain, path: str) -> int:
    kind, length = stream.unpack("II")
    if kind != _MATRIX:
        raise MatError(f"a part of {path!r} is of type {kind}, not a matrix")
    return length


def _fields(stream: Plain, path: str) -> list[str]:
    (length,) = stream.numbers("i", stream.small(_SHAPES, 4))
    names = stream.small(_NAMES, _MAX_FIELDS_BYTES)
    if length < 1 or len(names) % length:
        raise MatError(f"the fields of {path!r} have names of {length} bytes")
    starts = range(0, len(names), length)
    return [names[k : k + length].split(b"\0")[0].decode() for k in starts]


def _values(stream: Plain, path: str) -> tuple[np.dtype, int, int]:
    """The dtype, bytes and padding of the values that come next."""
    kind, length, padding = stream.element()
    if kind not in _TYPES:
        raise MatError(f"{path!r} holds values of the unknown type {kind}")
    return np.dtype(stream.order + _TYPES[kind]), length, padding


def _take_values(stream: Plain, path: str, max_count: int, logical: bool = False) -> np.ndarray:
    dtype, length, padding = _values(stream, path)
    if logical:  # old versions say that they were float64
        dtype = np.dtype("u1")
    if length % dtype.itemsize or length // dtype.itemsize > max_count:
        raise MatError(f"{path!r} has {length} bytes where {max_count} values are expected")
    values = np.frombuffer(stream.take(length), dtype)
    stream.skip(padding)
    return values
