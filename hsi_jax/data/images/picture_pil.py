"""Pictures of 8 bits, and grey ones of more, by PIL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
from PIL import ExifTags, Image

from hsi_jax.data.images.opened_picture import (
    OPACITY,
    OpenedPicture,
    turned,
    turned_shape,
    without_opacity,
)
from hsi_jax.errors import InputError

_GREY = ("1", "L", "LA", "La")
_DEEP = {"I": "int32", "F": "float32"}  # and everything that begins with "I;16"


@contextmanager
def open_by_pil(stream: IO[bytes], source: str, bands: int | None) -> Iterator[OpenedPicture]:
    """Opens a picture of a format that PIL knows.

    Palettes and inks become red, green and blue. Opacity is kept only if 4 bands are asked for.

    Raises:
        InputError: if PIL would drop bits of it, or, when it is read, if it is transparent.
    """
    with Image.open(stream) as picture:
        _refuse_lost_bits(picture, stream, source)
        remarks = []
        orientation = _orientation(picture)
        opacity = picture.has_transparency_data and bands != 4
        if opacity:
            remarks.append(OPACITY)
        if orientation != 1:
            remarks.append("turned as the EXIF data say")
        if getattr(picture, "is_animated", False):
            remarks.append("only the first of several frames is taken")
            picture.seek(0)
        deep = "uint16" if picture.mode.startswith("I;16") else _DEEP.get(picture.mode)
        mode = "L" if picture.mode in _GREY else "RGB"
        count = 1 if deep or mode == "L" else 3
        if bands == 4 and not deep:
            mode, count, opacity = "RGBA", 4, False

        def read() -> np.ndarray:
            picture.load()
            if deep:
                pixels = np.asarray(picture)[..., None]
            elif opacity:
                pixels = np.asarray(picture.convert("LA" if mode == "L" else "RGBA"))
                pixels = without_opacity(pixels, source)
            else:
                pixels = np.asarray(picture.convert(mode))
            return turned(pixels.reshape(*pixels.shape[:2], count), orientation)

        shape = turned_shape((picture.height, picture.width, count), orientation)
        yield OpenedPicture(shape, np.dtype(deep or "uint8"), read, "; ".join(remarks))


def _orientation(picture: Image.Image) -> int:
    if picture.format == "TIFF":  # PIL turns these itself
        return 1
    if picture.format == "PNG" and "exif" not in picture.info:  # PIL would decode all to find it
        return 1
    found = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) else 1


def _refuse_lost_bits(picture: Image.Image, stream: IO[bytes], source: str) -> None:
    """PIL takes colours of 16 bits for "RGB" too, and drops 8 bits of them."""
    tiles = " ".join(str(tile[3]) for tile in getattr(picture, "tile", ()))
    deep = ";16" in tiles and not picture.mode.startswith("I;16")
    if picture.format == "PPM" and picture.mode == "RGB":
        deep = deep or any(word.isdigit() and int(word) > 255 for word in _words(tiles))
    if picture.format == "JPEG2000" and picture.mode in ("RGB", "RGBA", "LA"):
        deep = deep or _jpeg2000_bits(stream) > 8
    if deep:
        raise InputError(
            f"{source} has more than 8 bits per channel in a format that is read with 8 bits "
            f"({picture.format}); save it as TIFF, PNG or .npy."
        )


def _words(text: str) -> list[str]:
    return text.replace("(", " ").replace(")", " ").replace(",", " ").split()


def _jpeg2000_bits(stream: IO[bytes]) -> int:
    """Bits of a component, from the marker SIZ of the code stream."""
    stream.seek(0)
    head = stream.read(2**16)
    start = head.find(b"\xff\x4f\xff\x51")
    stream.seek(0)
    if start < 0 or len(head) < start + 43:
        return 8
    return 1 + (head[start + 42] & 0x7F)
