"""Which pixels have no data: the one rule for training, maps, prediction and evaluation.

A pixel has no data if one of its bands holds a declared value, or a value that is not finite where
NaN is declared: its spectrum is not whole. The value 0 is a common measurement, so it must fill all
bands. Bands with a single value in the whole scene do not count.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.scene.bands import one_value_bands, row_parts


@dataclass(frozen=True, eq=False)
class NoData:
    """The pixels without data.

    Attributes:
        mask: bool [rows, columns].
        in_part: how many of them have data in some bands.
        absent: declared values that no pixel holds.
    """

    mask: np.ndarray
    in_part: int
    absent: tuple[float, ...]


def uncounted_bands(blocks: Iterable[np.ndarray], values: Sequence[float]) -> tuple[int, ...]:
    """The bands of a scene that do not count: those of one value, unless all bands are such.

    Args:
        blocks: all pixels of the scene, [..., bands] each; no more of them are read than needed.
        values: declared as "no data"; without any, nothing is read.
    """
    constant, bands = one_value_bands(blocks) if values else ([], 0)
    return tuple(constant) if len(constant) < bands else ()


def find_nodata(cube: np.ndarray, values: Sequence[float], ignored: Collection[int] = ()) -> NoData:
    """The pixels that hold a declared value; see the rule above.

    Args:
        cube: real numbers, [rows, columns, bands].
        values: declared as "no data"; NaN stands for all that is not finite.
        ignored: bands that do not count, as of `uncounted_bands`.
    """
    mask, whole = np.zeros(cube.shape[:2], bool), np.zeros(cube.shape[:2], bool)
    counted = np.setdiff1d(np.arange(cube.shape[2]), list(ignored))
    present = dict.fromkeys(values, False)
    for rows in row_parts(cube) if counted.size and present else ():
        anywhere = np.zeros((*mask[rows].shape, counted.size), bool)
        for value in values:
            held = holds(cube[rows], value)[..., counted]
            here = held.all(2) if value == 0 else held.any(2)
            present[value] |= bool(here.any())
            mask[rows] |= here
            anywhere |= held
        whole[rows] = anywhere.all(2)
    absent = tuple(value for value, found in present.items() if not found)
    return NoData(mask, int(np.count_nonzero(mask & ~whole)), absent)


def nodata_mask(
    array: np.ndarray, nodata_values: Sequence[float], ignored: Collection[int] = ()
) -> np.ndarray:
    """Which pixels have no data, bool [rows, columns]; see the rule above.

    Args:
        array: [rows, columns, bands] or [rows, columns].
        nodata_values: values, among them perhaps NaN, that stand for no data.
        ignored: bands that do not count, as of `uncounted_bands`.
    """
    layers = array if array.ndim == 3 else array[:, :, np.newaxis]
    return find_nodata(layers, nodata_values, ignored).mask


def bounds_of_value(value: float) -> tuple[float, float]:
    """The least and the greatest number that is taken for a declared one, which printing rounds."""
    margin = 1e-6 * abs(value)
    return value - margin, value + margin


def holds(array: np.ndarray, value: float) -> np.ndarray:
    """Where an array has a value, up to the rounding of its dtype and of printed numbers."""
    if value != value:
        return ~np.isfinite(array)
    if array.dtype.kind == "f":
        least, most = (float(x) for x in (np.finfo(array.dtype).min, np.finfo(array.dtype).max))
        low, high = bounds_of_value(value)
        if low > most or high < least:
            return np.zeros(array.shape, bool)
        low, high = (array.dtype.type(min(max(x, least), most)) for x in (low, high))
        return (array >= low) & (array <= high)
    limits = np.iinfo(array.dtype)
    if value != int(value) or not limits.min <= value <= limits.max:
        return np.zeros(array.shape, bool)
    return array == int(value)
