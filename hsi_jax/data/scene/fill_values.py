"""Values of a cube that look like "no data" but are not declared so, and saturated ones."""

import functools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.scene.bands import row_parts
from hsi_jax.data.scene.read_options import format_value

# How far a value lies outside, in spans of the other values, before it cannot be a measurement: if
# it fills whole spectra, which no measurement does, and if it stands anywhere.
_FAR_IN_SPECTRA, _FAR = 1, 1000
_ODD = 3  # spans outside, where most such values are one and the same
_MIN_PIXELS = 2  # that hold such a value
_MIN_BANDS = 5  # in fewer, whole spectra of one value are common
_REACH = 5  # pixels from the centre of a usual patch to its edge
_MAX_GAP = 0.25  # below a saturated value, as part of what it lies outside
_OFTEN = 0.01  # part of all values
_SAMPLE = 500_000  # values that tell what is usual
_MAX_FOUND = 4  # values in one message


@dataclass(frozen=True)
class FillValue:
    """A value that looks like "no data" but is not declared so.

    Attributes:
        value: of the cube's dtype.
        pixels: that hold it in all bands, or, where it does not fill spectra, in any.
        labelled: those of them that have a label.
        spoils: whether it lies so far outside that it would spoil the scaling or patches that
            train.
        whole: whether it fills whole spectra.
        saturated: whether it is the highest value of a continuous range: a measurement that has
            reached the end of the scale.
    """

    value: float
    pixels: int
    labelled: int
    spoils: bool
    whole: bool
    saturated: bool = False

    def __str__(self):
        where = "in all bands" if self.whole else "in some bands"
        return f"{format_value(self.value)} {where} of {self.pixels} pixels"


def find_fill_values(
    cube: np.ndarray,
    has_data: np.ndarray,
    labelled: np.ndarray | None,
    ignored: Collection[int] = (),
) -> list[FillValue]:
    """The values of a cube that look like "no data", the most frequent first.

    Such is a value that fills the whole spectra of some pixels and is 0 or lies outside of most
    other values; it is far if it lies outside by more than their own span. Such is also a value
    that lies outside by a thousand spans, which is far, and one that lies outside by three and is
    the most frequent one of those. A far value spoils a training if it is not saturated and a pixel
    that holds it is labelled or in a patch of one that is; a far 0 only if it is labelled.

    Args:
        cube: finite real numbers, [rows, columns, bands].
        has_data: bool [rows, columns], the pixels to look at.
        labelled: bool [rows, columns], or None: any pixel may be used.
        ignored: bands that do not count, such as constant ones.
    """
    counted = [band for band in range(cube.shape[2]) if band not in ignored]
    if len(counted) < 2:
        return []
    flat = _flat_spectra(cube, has_data, counted)
    low, high = _usual(cube, has_data & ~flat, counted)
    if not high > low:
        return []
    saturated = functools.cache(lambda: _saturated_value(cube, has_data, counted, high))

    def describe(value: float, held: np.ndarray, *, far: bool, whole: bool) -> FillValue:
        inside = 0 if labelled is None else int(np.count_nonzero(held & labelled))
        # Zeros around what is labelled are how some scenes are published.
        enters = inside > 0 or (value != 0 and (labelled is None or _is_near(held, labelled)))
        spoils = bool(far and value != saturated() and enters)
        pixels = int(np.count_nonzero(held))
        return FillValue(value, pixels, inside, spoils, whole, value == saturated())

    found = []
    values, counts = np.unique(cube[flat, counted[0]], return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        far = _is_far(value, low, high, _FAR_IN_SPECTRA)
        outside = not low <= value <= high and len(counted) >= _MIN_BANDS
        if count >= _MIN_PIXELS and (far or outside or value == 0):
            held = flat & (cube[..., counted[0]] == value)
            found.append(describe(value, held, far=far, whole=True))
    found.sort(key=lambda fill: -fill.pixels)
    for value, held, far in _far_values(cube, has_data & ~flat, counted, (low, high)):
        found.append(describe(value, held, far=far, whole=False))
    return found[:_MAX_FOUND]


def _flat_spectra(cube: np.ndarray, has_data: np.ndarray, counted: list[int]) -> np.ndarray:
    """The pixels that hold one value in all bands that count, bool [rows, columns]."""
    flat = has_data & (cube[..., counted[0]] == cube[..., counted[-1]])
    for band in counted[1:-1]:
        if not flat.any():
            break
        flat[flat] = cube[flat, band] == cube[flat, counted[0]]
    return flat


def _is_near(held: np.ndarray, labelled: np.ndarray) -> bool:
    """Whether a pixel of the one lies in a patch around a pixel of the other."""
    from scipy.ndimage import maximum_filter  # slow to import

    return bool((held & maximum_filter(labelled, 2 * _REACH + 1)).any())


def _saturated_value(
    cube: np.ndarray, has_data: np.ndarray, counted: list[int], high: float
) -> float | None:
    """The highest value, if it lies outside but others reach up to it; else None."""
    tops = []
    for rows in row_parts(cube):
        values = cube[rows][has_data[rows]][:, counted]
        tops.append(np.unique(values[values > high])[-2:].astype(np.float64))
    top = np.unique(np.concatenate(tops))[-2:].tolist()
    if len(top) < 2 or top[1] - top[0] > _MAX_GAP * (top[1] - high):
        return None
    return top[1]


def _usual(cube: np.ndarray, where: np.ndarray, counted: list[int]) -> tuple[float, float]:
    """The 2nd and the 98th percentile of a sample of the values there, of those that are near.

    The least and the largest value do not count where they stand often: that is how fill values do.
    """
    rows, columns = np.nonzero(where)
    if not rows.size:
        return 0.0, 0.0
    step = max(1, rows.size * len(counted) // _SAMPLE)
    sample = cube[rows[::step], columns[::step]][:, counted]
    sample = sample[sample != 0].astype(np.float64)
    if not sample.size:
        return 0.0, 0.0
    for _ in range(2):
        often = [x for x in (sample.min(), sample.max()) if np.mean(sample == x) > _OFTEN]
        if not (kept := ~np.isin(sample, often)).any():
            break
        sample = sample[kept]
    away = np.abs(sample - np.median(sample))  # which many odd values do not move
    near = away <= _FAR * np.median(away)
    low, high = np.percentile(sample[near], (2, 98))
    return float(low), float(high)


def _is_far(value: float, low: float, high: float, spans: float) -> bool:
    margin = spans * (high - low)
    return value < low - margin or value > high + margin


def _far_values(
    cube: np.ndarray, where: np.ndarray, counted: list[int], usual: tuple[float, float]
) -> Iterator[tuple[float, np.ndarray, bool]]:
    """Values outside, in any band of pixels whose spectra they do not fill.

    Yields:
        The value, which pixels hold it, bool [rows, columns], and whether it is far.
    """
    low, high = usual
    least, most = (np.float64(x) for x in (low - _ODD * (high - low), high + _ODD * (high - low)))
    times, blocks = Counter(), []
    for rows in row_parts(cube):
        block = cube[rows]
        if block.min() >= least and block.max() <= most:
            continue
        odd = (block < least) | (block > most)
        odd &= where[rows, :, np.newaxis] & np.isin(np.arange(cube.shape[2]), counted)
        if not odd.any():
            continue
        values, counts = np.unique(block[odd], return_counts=True)
        times.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        blocks.append((rows, odd))
    near = sum(count for value, count in times.items() if not _is_far(value, low, high, _FAR))
    found = 0
    for value, count in times.most_common():
        far = _is_far(value, low, high, _FAR)
        if found == _MAX_FOUND or not (far or 2 * count > near):
            continue
        held = np.zeros(where.shape, bool)
        for rows, odd in blocks:
            held[rows] = (odd & (cube[rows] == value)).any(2)
        if far or np.count_nonzero(held) >= _MIN_PIXELS:
            found += 1
            yield value, held, far
