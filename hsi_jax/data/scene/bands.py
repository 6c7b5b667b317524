"""The bands of a cube: those to leave out, those with a single value, their wavelengths."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hsi_jax.data.scene.read_options import BAD, bands_to_text
from hsi_jax.errors import InputError

_PART = 4_000_000  # numbers of a cube that are looked at together


def dropped_bands(
    asked: Sequence[int | str], bands: int, bad: Sequence[int], source: str
) -> list[int]:
    """The numbers of the bands to leave out.

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


def row_parts(cube: np.ndarray) -> Iterator[slice]:
    """Rows of a cube that are looked at together: a mask of the whole cube would be large."""
    rows = max(1, _PART // (cube.shape[1] * cube.shape[2]))
    return (slice(start, start + rows) for start in range(0, cube.shape[0], rows))


def one_value_bands(blocks: Iterable[np.ndarray]) -> tuple[list[int], int]:
    """The bands that have one value in all pixels, or no finite value.

    Args:
        blocks: of pixels, [..., bands]; none is read after the last such band has varied.

    Returns:
        These bands, increasing, and the number of all bands. For a single pixel there are none.
    """
    pixels, first, alike, empty = 0, np.empty(0), np.empty(0, bool), np.empty(0, bool)
    for block in blocks:
        spectra = block.reshape(-1, block.shape[-1])
        if not len(spectra):
            continue
        if not pixels:
            first = spectra[0].copy()
            alike = empty = np.ones(len(first), bool)
        pixels += len(spectra)
        alike = alike & (spectra == first).all(0)
        empty = empty & ~np.isfinite(spectra).any(0)
        if not (alike | empty).any():
            break
    return (np.flatnonzero(alike | empty).tolist() if pixels > 1 else []), len(first)


def constant_bands(cube: np.ndarray, has_data: np.ndarray | None = None) -> list[int]:
    """The bands of a cube as of `one_value_bands`.

    Args:
        cube: [rows, columns, bands].
        has_data: bool [rows, columns], the pixels to look at; None for all.
    """
    parts = row_parts(cube)
    if has_data is None:
        return one_value_bands(cube[rows] for rows in parts)[0]
    return one_value_bands(cube[rows][has_data[rows]] for rows in parts)[0]


def check_bands(cube: np.ndarray, source: str, *, wavelengths, band_names, rgb_bands) -> dict:
    """What is known of the bands of a file, as attributes of a scene.

    Args:
        cube: [rows, columns, bands].
        source: where the cube comes from, for messages.
        wavelengths: a positive number for each band, or None; they become float64 [bands].
        band_names: a name for each band, or None.
        rgb_bands: three bands, or None.

    Raises:
        InputError: if an argument does not fit the bands.
    """
    bands = cube.shape[2]
    return {
        "wavelengths": _check_wavelengths(wavelengths, bands, source),
        "band_names": _check_band_names(band_names, bands, source),
        "rgb_bands": _check_rgb_bands(rgb_bands, bands, source),
    }


def keep_bands(known: dict[str, Any], kept: tuple[int, ...], bands: int) -> dict[str, Any]:
    """What is known of the bands that are kept, of all `bands`; `known` is of `check_bands`."""
    if len(kept) == bands:
        return known
    wavelengths, band_names, rgb_bands = known.values()
    return {
        "wavelengths": None if wavelengths is None else wavelengths[[*kept]],
        "band_names": band_names and tuple(band_names[band] for band in kept),
        "rgb_bands": rgb_bands and _nearest_bands(rgb_bands, kept),
        "file_bands": bands,
        "kept_bands": kept,
    }


def _check_rgb_bands(
    rgb_bands: Sequence[int] | None, bands: int, source: str
) -> tuple[int, int, int] | None:
    """Three bands of a cube, or None."""
    if rgb_bands is None:
        return None
    if len(rgb_bands) != 3 or not all(0 <= band < bands for band in rgb_bands):
        raise InputError(
            f"`rgb_bands`={tuple(rgb_bands)} of {source}: give three bands from 0 to {bands - 1}"
        )
    red, green, blue = rgb_bands
    return red, green, blue


def find_rgb_bands(scene: Any, wanted: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    """The bands of a scene that a picture shows as red, green and blue, or None.

    Args:
        scene: a `Scene`.
        wanted: bands of its file, counted from 0; None for its own, or else those nearest to 640,
            550 and 460 nm, where its wavelengths reach so far.

    Raises:
        InputError: if there are no such bands.
    """
    kept = range(scene.shape[2]) if scene.kept_bands is None else scene.kept_bands
    if wanted is not None:
        checked = _check_rgb_bands(wanted, scene.file_bands or scene.shape[2], scene.name)
        return _nearest_bands(checked, kept) if checked else None
    known = scene.wavelengths
    if scene.rgb_bands or known is None or not known.min() <= 500 < 600 <= known.max():
        return scene.rgb_bands
    red, green, blue = (int(np.argmin(np.abs(known - nm))) for nm in (640, 550, 460))
    return red, green, blue


def _nearest_bands(wanted: tuple[int, int, int], kept: Sequence[int]) -> tuple[int, int, int]:
    """The positions, among the bands that are kept, of those nearest to three bands of the file."""
    red, green, blue = (int(np.argmin(np.abs(np.subtract(kept, band)))) for band in wanted)
    return red, green, blue


def _check_wavelengths(
    wavelengths: Sequence[float] | np.ndarray | None, bands: int, source: str
) -> np.ndarray | None:
    """The wavelengths as float64 [bands], or None."""
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


def _check_band_names(
    names: Sequence[str] | None, bands: int, source: str
) -> tuple[str, ...] | None:
    """The names of all bands, or None."""
    if not names:
        return None
    if len(names) != bands:
        raise InputError(
            f"`band_names` of {source} has {len(names)} names; give one for each of the {bands} "
            f"bands."
        )
    return tuple(map(str, names))
