"""Where the pixels of a raster lie."""

from collections.abc import Sequence

import numpy as np


def corners(transform: Sequence[float], shape: Sequence[int]) -> np.ndarray:
    """The coordinates of the four corners, float64 [2, 4].

    Args:
        transform: affine (a, b, c, d, e, f).
        shape: rows and columns.
    """
    rows, columns = shape
    affine = np.reshape(transform, (2, 3))
    return affine @ [[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]]


def shift_in_pixels(one: np.ndarray, two: np.ndarray, transform: Sequence[float]) -> float:
    """How far two sets of corners are apart at most, in pixels of a transform."""
    side = np.hypot(transform[0], transform[3])
    return float(np.abs(one - two).max() / side)
