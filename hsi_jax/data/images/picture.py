"""Encoded pictures as arrays, decoded in one way for all image sets."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from hsi_jax.data.files.file_kind import DAMAGED, remedy
from hsi_jax.data.files.reader import free_memory, stored_npy
from hsi_jax.data.images.opened_picture import OpenedPicture, bands_first_remark, has_bands_first
from hsi_jax.data.images.picture_pil import open_by_pil
from hsi_jax.data.images.picture_png import is_deep_png, open_deep_png
from hsi_jax.data.images.picture_tiff import MAGICS, open_tiff
from hsi_jax.errors import InputError

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm"),
    *(".jp2", ".npy"),
)
MAX_PIXELS = 178_956_970  # beyond which PIL opens nothing
_NPY = b"\x93NUMPY"


@dataclass(frozen=True)
class PictureFacts:
    """What the head of a picture says.

    Attributes:
        shape: (rows, columns, bands), as `read_picture` gives them.
        dtype: as `read_picture` gives them.
        remark: what is done to the picture that a user has to know, or "".
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    remark: str = ""


def is_picture(name: str) -> bool:
    """Returns whether a file name is that of a picture that is not hidden."""
    path = Path(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_picture(
    file: bytes | Path,
    source: str,
    bands: int | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Decodes a picture.

    Palettes are converted to red, green and blue; so is grey, if 3 bands are asked for. A picture
    is turned as its EXIF data say. Opacity that is the same everywhere is dropped, unless 4 bands
    are asked for; a TIFF keeps all its bands. Values are as they are stored: int8 to int32, uint8
    to uint32 or float32, to which float16, float64, int64 and uint64 are converted.

    Args:
        file: the encoded bytes, or a path.
        source: the name of the picture in messages.
        bands: that it must have, for example 1 for grey and 3 for red, green and blue; None takes
            what it has.
        size: (rows, columns) to resize to, bilinearly (and averaged when shrinking), or None.

    Returns:
        [rows, columns, bands].

    Raises:
        InputError: if the file is damaged or too large, if it has other bands, if its opacity
            varies, or if it has values that are not finite.
    """
    with _explaining(source, file), _open(file, source, bands) as picture:
        pixels = _checked(picture, source).read()
        if pixels.shape != picture.shape:
            raise ValueError(f"pixels of shape {pixels.shape}, not {picture.shape}")
    pixels = pixels.astype(_kept_dtype(pixels.dtype, source), copy=False)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(
            f"{source} has values that are not finite numbers (NaN or infinite); replace them, or "
            f"leave the picture out."
        )
    pixels = _with_bands(pixels, bands, source)
    if size is not None and pixels.shape[:2] != size:
        pixels = _resize(pixels, size)
    return np.ascontiguousarray(pixels)


def picture_facts(file: bytes | Path, source: str, bands: int | None = None) -> PictureFacts:
    """Reads the head of a picture; arguments as of `read_picture`.

    Raises:
        InputError: if it is not a picture, or is too large.
    """
    with _explaining(source, file), _open(file, source, bands) as picture:
        _checked(picture, source)
        return PictureFacts(picture.shape, _kept_dtype(picture.dtype, source), picture.remark)


def as_png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [rows, columns, bands], of 1, 3 or 4 bands, without loss."""
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()


@contextmanager
def _open(file: bytes | Path, source: str, bands: int | None) -> Iterator[OpenedPicture]:
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
        head = stream.read(32)
        stream.seek(0)
        if head.startswith(_NPY):
            yield _open_npy(stream, source)
            return
        if is_deep_png(head):
            with open_deep_png(stream, source) as picture:
                yield picture
            return
        if head.startswith(MAGICS):
            with open_tiff(stream, source) as picture:
                if picture is not None:
                    yield picture
                    return
            stream.seek(0)
        with open_by_pil(stream, source, bands) as picture:
            yield picture


def _open_npy(stream: IO[bytes], source: str) -> OpenedPicture:
    stored = stored_npy("", lambda: stream)
    if stored.read is None or stored.dtype is None or len(stored.shape) not in (2, 3):
        raise InputError(
            f"{source} holds {stored.kind} of shape {stored.shape}; give numbers [rows, columns] "
            f"or [rows, columns, bands]."
        )
    read = stored.read
    rows, columns, bands = shape = (*stored.shape, 1)[:3]
    if not has_bands_first(shape):
        return OpenedPicture((rows, columns, bands), stored.dtype, lambda: read().reshape(shape))
    remark = bands_first_remark(shape)
    return OpenedPicture(
        (columns, bands, rows), stored.dtype, lambda: np.moveaxis(read(), 0, -1), remark
    )


def _checked(picture: OpenedPicture, source: str) -> OpenedPicture:
    rows, columns, bands = picture.shape
    if min(picture.shape) < 1:
        raise InputError(f"{source} has no pixels: its shape is {picture.shape}.")
    if rows * columns > MAX_PIXELS:
        raise _too_large(source, f"{rows} x {columns}")
    num_bytes = rows * columns * bands * picture.dtype.itemsize
    if num_bytes > free_memory():
        raise InputError(
            f"{source} takes {num_bytes / 1e9:.1f} GB, more than the memory that is free; cut it "
            f"into tiles."
        )
    return picture


def _too_large(source: str, pixels: str) -> InputError:
    return InputError(
        f"{source} has {pixels} pixels, more than the {MAX_PIXELS} that a picture of a set may "
        f"have; cut it into tiles, or take it out of the folder."
    )


def _kept_dtype(dtype: np.dtype, source: str) -> np.dtype:
    """The dtype in which such values are kept: one that JAX has."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" or (dtype.kind in "iu" and dtype.itemsize == 8):
        return np.dtype(np.float32)
    if dtype.kind not in "iu":
        raise InputError(f"{source} holds {dtype.name}; give real numbers.")
    return dtype.newbyteorder("=")


def _with_bands(pixels: np.ndarray, bands: int | None, source: str) -> np.ndarray:
    found = pixels.shape[-1]
    if bands in (None, found):
        return pixels
    if (found, bands) == (1, 3):
        return np.repeat(pixels, 3, axis=-1)
    words = f"{found} bands, but {bands} are expected"
    if (found, bands) == (3, 1):
        words = "colours, but the other images are grey"
    raise InputError(f"{source} has {words}; give images of the same bands.")


def _resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = size
    count, bilinear = pixels.shape[-1], Image.Resampling.BILINEAR
    if pixels.dtype == np.uint8 and count in (1, 3, 4):
        picture = Image.fromarray(pixels[..., 0] if count == 1 else pixels)
        return np.asarray(picture.resize((columns, rows), bilinear)).reshape(rows, columns, count)
    resized = np.empty((rows, columns, count), pixels.dtype)
    for band in range(count):
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., band], np.float32))
        values = np.asarray(picture.resize((columns, rows), bilinear))
        resized[..., band] = values if pixels.dtype.kind == "f" else np.rint(values)
    return resized


@contextmanager
def _explaining(source: str, file: bytes | Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        pixels = next((word for word in str(error).replace("(", " ").split() if word.isdigit()), "")
        raise _too_large(source, pixels or "too many") from error
    except Exception as error:  # a damaged file may make the decoders raise anything
        raise InputError(
            f"{source} cannot be read as a picture ({type(error).__name__}: {error}); "
            f"{remedy(file) if isinstance(file, Path) else DAMAGED}."
        ) from error
