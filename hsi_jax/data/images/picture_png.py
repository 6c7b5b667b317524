"""PNG pictures of 16 bits in colour or with opacity, which PIL reads with 8 bits only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from hsi_jax.data.images.opened_picture import OPACITY, OpenedPicture, without_opacity
from hsi_jax.errors import InputError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_deep_png(head: bytes) -> bool:
    """Whether a file is such a picture.

    Args:
        head: its first bytes, 26 or more.
    """
    return head.startswith(_SIGNATURE) and len(head) >= 26 and head[24] == 16 and head[25] != 0


@contextmanager
def open_deep_png(stream: IO[bytes], source: str) -> Iterator[OpenedPicture]:
    """Opens such a picture.

    Raises:
        InputError: when it is read, if it is transparent.
    """
    import png

    reader = png.Reader(file=stream)
    reader.preamble()
    if reader.transparent is not None:
        raise InputError(f"{source} declares a transparent colour; save it without that.")
    planes, alpha = int(reader.planes), bool(reader.alpha)

    def read() -> np.ndarray:
        columns, rows, values, _ = reader.read()
        pixels = np.empty((rows, columns * planes), np.uint16)
        for row, line in enumerate(values):
            pixels[row] = line
        pixels = pixels.reshape(rows, columns, planes)
        return without_opacity(pixels, source) if alpha else pixels

    shape = (int(reader.height), int(reader.width), planes - alpha)
    yield OpenedPicture(shape, np.dtype("uint16"), read, OPACITY if alpha else "")
