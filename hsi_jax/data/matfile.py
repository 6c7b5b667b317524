"""Numeric arrays of MATLAB files of version 5 to 7.2.

Not by scipy.io, because that trusts what it reads: an unknown type code in a damaged file ends the
whole process (scipy 1.17). Layout: MathWorks, "MAT-File Format", chapter "Level 5 MAT-File Format".
"""

import io
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_HEADER_BYTES = 128
_COMPRESSED, _MATRIX = 15, 14  # types of elements
_NAMES, _SHAPES, _FLAGS = (1, 16), (5, 6), (6,)  # int8 or UTF-8, int32 or uint32, uint32
_TYPES = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
_NUMERIC_CLASSES = range(6, 16)  # double, single, and signed and unsigned integers
_COMPLEX = 0x0800
_HEAD_BYTES = 2048  # of a matrix, within which its name and shape must end; names have 63 at most


class MatError(ValueError):
    """The file does not follow the format."""


@dataclass(frozen=True)
class MatArray:
    """A real numeric array of a file, not read yet.

    Attributes:
        name: of the variable.
        shape: as in MATLAB.
        dtype: in which it is stored, which may be smaller than its class in MATLAB.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    _start: int  # in the file, of the element
    _size: int  # bytes of the element
    _offset: int  # in the element, decompressed, of the values
    _compressed: bool

    def read(self, file: io.BufferedReader) -> np.ndarray:
        """Reads the values, with MATLAB's axes, C-contiguous.

        Raises:
            MatError: if they are not what the header says; zlib.error likewise.
        """
        count = math.prod(self.shape)
        if self._compressed:
            file.seek(self._start)
            content = _inflate(file.read(self._size), self._offset + count * self.dtype.itemsize)
            values = np.frombuffer(content, self.dtype, offset=self._offset)
        else:
            file.seek(self._start + self._offset)
            values = np.fromfile(file, self.dtype, count)
        if values.size != count:
            raise MatError(f"{self.name!r} has {values.size} values instead of {count}")
        values = values.reshape(self.shape, order="F")
        return values.astype(self.dtype.newbyteorder("="), order="C")


def list_arrays(file: io.BufferedReader) -> Iterator[MatArray]:
    """The real numeric arrays at the top of a file; text, cells, structs and the like are left out.

    Raises:
        MatError: if the file is of another version, or does not follow the format; zlib.error
            likewise.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    order = _byte_order(file.read(_HEADER_BYTES))
    start = _HEADER_BYTES
    while start < size:
        file.seek(start)
        kind, length = _unpack(f"{order}II", file.read(8))
        start += 8
        if length == 0 or start + length > size:
            raise MatError(f"the element at byte {start - 8} claims {length} bytes of {size}")
        if kind == _COMPRESSED:
            some = file.read(min(length, 2 * _HEAD_BYTES))
            head = zlib.decompressobj().decompress(some, _HEAD_BYTES)
            kind, inner = _unpack(f"{order}II", head)
            array = _parse_matrix(head, 8, inner, order, start, length, compressed=True)
        else:
            head = file.read(min(length, _HEAD_BYTES))
            array = _parse_matrix(head, 0, length, order, start, length, compressed=False)
        if kind != _MATRIX:
            raise MatError(f"the element at byte {start - 8} is of type {kind}, not a matrix")
        if array is not None:
            yield array
        start += length


def _byte_order(header: bytes) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None or _unpack(f"{order}H", header[124:])[0] >> 8 != 1:
        raise MatError("not a MATLAB file of version 5 to 7.3; save older ones again with -v7")
    return order


def _parse_matrix(
    head: bytes, at: int, inner: int, order: str, start: int, size: int, compressed: bool
) -> MatArray | None:
    """The array that begins at `at` in `head`; None if it is not a real numeric one."""
    end = at + inner
    flags, at = _read_small(head, at, _FLAGS, order)
    (flags, _) = _unpack(f"{order}II", flags)
    if flags & 0xFF not in _NUMERIC_CLASSES or flags & _COMPLEX:
        return None
    raw, at = _read_small(head, at, _SHAPES, order)
    shape = struct.unpack(f"{order}{len(raw) // 4}i", raw[: len(raw) // 4 * 4])
    raw, at = _read_small(head, at, _NAMES, order)
    name = raw.decode()
    if not name:  # MATLAB's own, beside functions
        return None
    kind, at, length, after = _parse_tag(head, at, order)
    if kind not in _TYPES:
        raise MatError(f"{name!r} holds values of the unknown type {kind}")
    dtype = np.dtype(order + _TYPES[kind])
    if not 2 <= len(shape) <= 32 or min(shape) < 0 or after > end:
        raise MatError(f"{name!r} claims a shape of {shape} in {inner} bytes")
    if math.prod(shape) * dtype.itemsize != length:
        raise MatError(f"{name!r} has {length} bytes for a shape of {shape} of {dtype}")
    return MatArray(name, shape, dtype, start, size, at, compressed)


def _read_small(head: bytes, at: int, kinds: tuple, order: str) -> tuple[bytes, int]:
    """The content of an element that must be of these types, and where the next begins."""
    found, start, length, after = _parse_tag(head, at, order)
    if found not in kinds or start + length > len(head):
        raise MatError(f"an element of type {found} and {length} bytes stands where {kinds} should")
    return head[start : start + length], after


def _parse_tag(head: bytes, at: int, order: str) -> tuple[int, int, int, int]:
    """Type of the element at `at`, where its content begins, bytes of it, where the next begins."""
    first, length = _unpack(f"{order}II", head[at:])
    if first >> 16:  # up to four bytes stand in the tag itself
        return first & 0xFFFF, at + 4, min(first >> 16, 4), at + 8
    return first, at + 8, length, at + 8 + -(-length // 8) * 8


def _unpack(layout: str, content: bytes) -> tuple:
    if len(content) < struct.calcsize(layout):
        raise MatError("it ends too early")
    return struct.unpack_from(layout, content)


def _inflate(content: bytes, size: int) -> bytes:
    """The first `size` bytes of what should have just these and padding; checks the checksum."""
    stream = zlib.decompressobj()
    inflated = stream.decompress(content, size) if size else b""
    stream.decompress(stream.unconsumed_tail if size else content, 64)
    if len(inflated) != size or not stream.eof:
        raise MatError("compressed values are fewer or more than their header says")
    return inflated
