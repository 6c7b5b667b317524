"""The elements of a MATLAB file of version 5, one after the other, deflated or not."""

import io
import struct
import zlib

_CHUNK = 2**18  # bytes inflated at a time
_MAX_PADDING = 64  # bytes after a deflated variable


class MatError(ValueError):
    """The file does not follow the format."""


class Plain:
    """Reads on from a place in a file.

    Attributes:
        order: of the bytes of a number, "<" or ">".
        at: bytes given so far.
    """

    def __init__(self, file: io.BufferedReader, order: str, start: int, size: int):
        self._file, self._start, self._size = file, start, size
        self.order = order
        self.at = 0

    def take(self, count: int) -> bytes | bytearray:
        """The next `count` bytes; MatError if there are not this many."""
        if self.at + count > self._size:
            raise MatError("it ends too early")
        self._file.seek(self._start + self.at)
        self.at += count
        return self._file.read(count)

    def skip(self, count: int) -> None:
        """Leaves out `count` bytes."""
        self.at += count

    def finish(self, end: int) -> None:
        """Checks what comes after the place `end`, where a variable ends."""

    def unpack(self, layout: str) -> tuple:
        """The next numbers, as the module struct describes them."""
        return struct.unpack(self.order + layout, self.take(struct.calcsize("=" + layout)))

    def numbers(self, layout: str, content: bytes) -> tuple:
        """The numbers at the start of the content of an element."""
        size = struct.calcsize("=" + layout)
        if len(content) < size:
            raise MatError("it ends too early")
        return struct.unpack(self.order + layout, content[:size])

    def element(self) -> tuple[int, int, int]:
        """Reads the tag of an element.

        Returns:
            Its type, the bytes of its content, which comes next, and of the padding after that.
        """
        (first,) = self.unpack("I")
        if first >> 16:  # up to four bytes of content stand in the tag itself
            length = min(first >> 16, 4)
            return first & 0xFFFF, length, 4 - length
        (length,) = self.unpack("I")
        return first, length, -length % 8

    def small(self, kinds: tuple[int, ...], max_bytes: int) -> bytes:
        """The content of an element, which must be of one of these types and not longer."""
        kind, length, padding = self.element()
        if kind not in kinds or length > max_bytes:
            raise MatError(
                f"an element of type {kind} and {length} bytes where type {kinds} is expected"
            )
        content = bytes(self.take(length))
        self.skip(padding)
        return content


class Deflated(Plain):
    """The same for a part of a file that is deflated."""

    def __init__(self, file: io.BufferedReader, order: str, start: int, size: int):
        super().__init__(file, order, start, size)
        self._read = 0  # bytes of the file
        self._inflater = zlib.decompressobj()

    def take(self, count: int) -> bytearray:
        """The next `count` bytes; MatError if there are not this many."""
        content = bytearray()
        while len(content) < count:
            content += self._inflate(count - len(content))
        return content

    def skip(self, count: int) -> None:
        """Leaves out `count` bytes."""
        while count:
            count -= len(self._inflate(count))

    def finish(self, end: int) -> None:
        """Inflates the rest, of which the checksum tells whether all is sound."""
        try:
            while self.at <= end + _MAX_PADDING:
                self._inflate(_CHUNK)
        except EOFError:
            if self.at >= end:
                return
        raise MatError("deflated values are fewer or more than their header says")

    def _inflate(self, max_bytes: int) -> bytes:
        """Some of the next bytes; MatError at the end."""
        content = b""
        while not content:
            if self._inflater.eof:
                raise _EndError("it ends too early")
            deflated = self._inflater.unconsumed_tail
            if not deflated:
                self._file.seek(self._start + self._read)
                deflated = self._file.read(min(_CHUNK, self._size - self._read))
                self._read += len(deflated)
            content = self._inflater.decompress(deflated, min(max_bytes, _CHUNK))
            if not content and not deflated and not self._inflater.eof:
                raise MatError("deflated values are fewer than their header says")
        self.at += len(content)
        return content


class _EndError(MatError, EOFError):
    pass
