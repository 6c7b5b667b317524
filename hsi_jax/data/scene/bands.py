"""The bands of a cube: those to leave out, those that hold one value alone, their wavelengths."""

from collections.abc import Sequence

import numpy as np

from hsi_jax.data.scene.read_options import BAD, bands_to_text
from hsi_jax.errors import InputError

_FIRST_LOOK = 1000  # pixels


def dropped_bands(
    asked: Sequence[int | str], bands: int, bad: Sequence[int], source: str
) -> list[int]:
    """The bands to leave out that are known by number.

    Args:
        asked: numbers, counted from 0; "bad" stands for those of `bad`, other words for none.
        bands: number of bands in the file.
        bad: bands that the file declares as bad.
        source: where the cube comes from, for messages.

    Returns:
        Their numbers, increasing.

    Raises:
        InputError: if there is no such band, or none would be left.
    """
    dropped = {int(band) for band in asked if not isinstance(band, str)}
    dropped |= set(bad) if BAD in asked else set()
    outside = sorted(band for band in dropped if not 0 <= band < bands)
    if outside:
        raise InputError(
            f"`drop_bands`={bands_to_text(outside[:9])}: the cube of {source} has the bands 0 to "
            f"{bands - 1} (counted from 0)"
        )
    check_some_left(len(dropped), bands, source)
    return sorted(dropped)


def check_some_left(dropped: int, bands: int, source: str) -> None:
    """Checks that dropping leaves a band.

    Raises:
        InputError: if it leaves none.
    """
    if dropped >= bands:
        raise InputError(
            f"`drop_bands` leaves none of the {bands} bands of {source}; name fewer, or check the "
            f"cube"
        )


def constant_bands(cube: np.ndarray, has_data: np.ndarray | None = None) -> list[int]:
    """The bands that have one value in all pixels, or nowhere a finite one.

    Args:
        cube: [rows, columns, bands].
        has_data: bool [rows, columns], the pixels to look at; None for all.
    """
    rows, columns, bands = cube.shape
    if rows * columns == 1:
        return []
    has_data = np.ones((rows, columns), bool) if has_data is None else has_data
    first = cube.reshape(-1, bands)[np.flatnonzero(has_data)[:_FIRST_LOOK]]
    likely = [band for band in range(bands) if _is_constant(first[:, band])]
    return [band for band in likely if _is_constant(cube[has_data, band])]


def _is_constant(values: np.ndarray) -> bool:
    return bool((values == values[0]).all()) or not np.isfinite(values).any()


def check_rgb_bands(
    rgb_bands: Sequence[int] | None, bands: int, source: str
) -> tuple[int, int, int] | None:
    """Three bands of a cube, or None.

    Raises:
        InputError: if they are not.
    """
    if rgb_bands is None:
        return None
    if len(rgb_bands) != 3 or not all(0 <= band < bands for band in rgb_bands):
        raise InputError(
            f"`rgb_bands`={tuple(rgb_bands)} of {source}: give three bands from 0 to {bands - 1}"
        )
    red, green, blue = rgb_bands
    return red, green, blue


def nearest_bands(wanted: tuple[int, int, int], kept: Sequence[int]) -> tuple[int, int, int]:
    """The positions, among the bands that are kept, of those nearest to three bands of the file."""
    red, green, blue = (int(np.argmin(np.abs(np.subtract(kept, band)))) for band in wanted)
    return red, green, blue


def check_wavelengths(
    wavelengths: Sequence[float] | np.ndarray | None, bands: int, source: str
) -> np.ndarray | None:
    """The wavelengths as float64 [bands], or None.

    Raises:
        InputError: if they are not one positive number for each band.
    """
    if wavelengths is None:
        return None
    wavelengths = np.asarray(wavelengths)
    if wavelengths.shape != (bands,) or wavelengths.dtype.kind not in "iuf":
        raise InputError(
            f"`wavelengths` of {source} has shape {wavelengths.shape} and dtype "
            f"{wavelengths.dtype}; give one number for each of the {bands} bands."
        )
    wavelengths = wavelengths.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(wavelengths) & (wavelengths > 0)))
    if bad.size:
        raise InputError(
            f"`wavelengths` of {source} has {wavelengths[bad[0]]} for band {bad[0]} (counted from "
            f"0); give positive numbers, in nanometres."
        )
    return wavelengths
