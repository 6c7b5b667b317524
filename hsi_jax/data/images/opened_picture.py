"""A picture of any format whose head has been read, and what all formats have in common."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError


@dataclass(frozen=True)
class OpenedPicture:
    """A picture that is open; its pixels have not been read yet.

    Attributes:
        shape: (rows, columns, bands), as it is meant to be seen.
        dtype: of the pixels.
        read: reads them, [rows, columns, bands].
        remark: what is done to it that a user has to know, or "".
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    read: Callable[[], np.ndarray]
    remark: str = ""


OPACITY = "the opacity, which must be the same everywhere, is left out"


def without_opacity(pixels: np.ndarray, source: str) -> np.ndarray:
    """Leaves out the last band, which is opacity and must be the same everywhere.

    Raises:
        InputError: if it is not.
    """
    opacity = pixels[..., -1]
    if opacity.min() != opacity.max():
        raise InputError(
            f"{source} has transparent pixels; put it on a background and save it without opacity. "
            f"If its last channel is a band like the others, save it as TIFF or .npy."
        )
    return pixels[..., :-1]


def turned_shape(shape: tuple[int, ...], orientation: int) -> tuple[int, int, int]:
    """The shape of a picture after `turned`."""
    rows, columns, bands = shape
    return (columns, rows, bands) if orientation in (5, 6, 7, 8) else (rows, columns, bands)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a picture as the tag Orientation of EXIF and TIFF says (1 to 8; others are as 1)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def has_bands_first(shape: tuple[int, ...]) -> bool:
    """Whether an array that says nothing of its three axes is an image with the bands first.

    So is one whose first axis is much the smallest, or is the smallest and the others are alike.
    """
    first, *others = shape
    return 4 * first <= min(others) or first < others[0] == others[1]


def bands_first_remark(shape: tuple[int, ...]) -> str:
    """What a user has to know of an array of this shape that is turned."""
    return f"the first axis of {shape} is taken for the bands"
