"""One encoded picture as an array: what every image set has to agree on."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from hsi_jax.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm")

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_GREY = ("1", "L")
_DEEP = ("I", "F")  # and everything that begins with "I;16"


def is_picture(name: str) -> bool:
    """Returns whether a file name is that of a picture and not of hidden or other files."""
    path = Path(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_picture(
    file: bytes | Path, source: str, channels: int = 3, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Decodes a picture.

    Palettes, and grey where colour is wanted, are converted to red, green and blue, and a channel
    of opacity is dropped where it says nothing.

    Args:
        file: the encoded bytes, or a path.
        source: what to call it in messages.
        channels: 1 for grey, 3 for red, green and blue, 4 for these and opacity.
        size: (rows, columns) to resize to, bilinearly (and averaged when shrinking), or None.

    Returns:
        uint8 [rows, columns, channels].

    Raises:
        InputError: if the file is damaged, has more than 8 bits a channel or see-through pixels,
            or is in colour where grey is wanted.
    """
    try:
        with _open(file) as picture:
            _check_depth(picture, source)
            picture.load()
            converted = _convert(picture, channels, source)
    except InputError:
        raise
    except Exception as error:  # PIL's decoders raise what a damaged file makes them trip over
        raise _damaged(source, error) from error
    if size is not None and converted.size != size[::-1]:
        converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(converted).reshape(converted.height, converted.width, channels)


def picture_shape(file: bytes | Path, source: str) -> tuple[int, int, int]:
    """Returns (rows, columns, channels) as the head of the file says; channels is 1 or 3.

    Raises:
        InputError: if it is no picture or has more than 8 bits a channel.
    """
    try:
        with _open(file) as picture:
            _check_depth(picture, source)
            return picture.height, picture.width, 1 if picture.mode in _GREY else 3
    except InputError:
        raise
    except Exception as error:
        raise _damaged(source, error) from error


def as_png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [rows, columns, channels] without loss."""
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()


def _open(file: bytes | Path) -> Image.Image:
    return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)


def _check_depth(picture: Image.Image, source: str) -> None:
    # PIL calls 16-bit colour "RGB" and would cut each value in half; only the raw mode shows it.
    raw_modes = " ".join(str(tile[3]) for tile in picture.tile)
    if picture.mode in _DEEP or picture.mode.startswith("I;16") or ";16" in raw_modes:
        raise InputError(
            f"{source} has more than 8 bits a channel (mode {picture.mode}); scale its values to "
            f"0..255 and save it with 8 bits."
        )


def _convert(picture: Image.Image, channels: int, source: str) -> Image.Image:
    if channels == 1 and picture.mode not in _GREY:
        raise InputError(f"{source} has mode {picture.mode}, but the other images are grey.")
    if channels == 3 and picture.has_transparency_data:
        opacity = picture.convert("RGBA").getchannel("A")
        if opacity.getextrema()[0] < 255:
            raise InputError(
                f"{source} has see-through pixels (mode {picture.mode}); put it on a background "
                f"and save it without opacity."
            )
    return picture.convert(_MODES[channels])


def _damaged(source: str, error: Exception) -> InputError:
    return InputError(
        f"{source} cannot be read as a picture ({type(error).__name__}: {error}); if it is "
        f"damaged, copy or download it again."
    )
