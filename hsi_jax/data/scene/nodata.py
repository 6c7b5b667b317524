"""Pixels without data: those that are declared, and values that look as if they should be.

A pixel has no data if one of its bands holds a declared value, or a value that is not finite where
NaN is declared: its spectrum is not whole. The value 0 is a common measurement, so it must fill all
bands. Bands of one value alone do not count.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.errors import InputError

# How far a value lies outside, in spans of the other values, before it cannot be a measurement: if
# it fills whole spectra, which no measurement does, and if it stands anywhere.
_FAR_IN_SPECTRA, _FAR = 1, 1000
_ODD = 3  # spans outside, where most such values are one and the same
_MIN_PIXELS = 2  # that hold such a value
_MIN_BANDS = 5  # in fewer, whole spectra of one value are common
_OFTEN = 0.01  # part of all values
_SAMPLE = 500_000  # values that tell what is usual
_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_MAX_FOUND = 4  # values in one message
_BLOCK = 4_000_000  # numbers of a cube that are looked at together


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


def find_nodata(cube: np.ndarray, values: Sequence[float], ignored: Collection[int] = ()) -> NoData:
    """The pixels that hold a declared value; see the rule above.

    Args:
        cube: real numbers, [rows, columns, bands].
        values: declared as "no data"; NaN stands for all that is not finite.
        ignored: bands that do not count.
    """
    mask, whole = np.zeros(cube.shape[:2], bool), np.zeros(cube.shape[:2], bool)
    counted = np.setdiff1d(np.arange(cube.shape[2]), list(ignored))
    present = dict.fromkeys(values, False)
    for rows in _blocks(cube) if counted.size else ():
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


def _blocks(cube: np.ndarray) -> Iterator[slice]:
    """Rows of a cube that are looked at together: a mask of the whole cube would be large."""
    rows = max(1, _BLOCK // (cube.shape[1] * cube.shape[2]))
    return (slice(start, start + rows) for start in range(0, cube.shape[0], rows))


def holds(array: np.ndarray, value: float) -> np.ndarray:
    """Where an array has a value, up to the rounding of its dtype and of printed numbers."""
    if value != value:
        return ~np.isfinite(array)
    if array.dtype.kind == "f":
        least, most = (float(x) for x in (np.finfo(array.dtype).min, np.finfo(array.dtype).max))
        margin = 1e-6 * abs(value)
        low, high = value - margin, value + margin
        if low > most or high < least:
            return np.zeros(array.shape, bool)
        low, high = (array.dtype.type(min(max(x, least), most)) for x in (low, high))
        return (array >= low) & (array <= high)
    limits = np.iinfo(array.dtype)
    if value != int(value) or not limits.min <= value <= limits.max:
        return np.zeros(array.shape, bool)
    return array == int(value)


def check_finite(
    cube: np.ndarray,
    has_data: np.ndarray,
    source: str,
    numbers: Sequence[int] | np.ndarray,
    reading: ReadOptions,
) -> None:
    """Checks that all values are finite in float32 where there are data.

    Args:
        cube: real numbers, [rows, columns, bands].
        has_data: bool [rows, columns].
        source: where the cube comes from, for messages.
        numbers: of its bands in the file.
        reading: what is left out already, which messages keep.

    Raises:
        InputError: naming the bands or the values, and what can be done with them.
    """
    if cube.dtype.kind != "f":
        return
    in_band = np.zeros(cube.shape[2], int)
    pixels, example = 0, 0.0
    for rows in _blocks(cube):
        bad = ~(np.abs(cube[rows]) <= np.float64(_MAX_FLOAT32))
        bad &= has_data[rows, :, np.newaxis]
        if bad.any():
            values = cube[rows][bad]
            finite = values[np.isfinite(values)]
            if finite.size or not pixels:
                example = float((finite if finite.size else values)[0])
            in_band += bad.sum((0, 1))
            pixels += np.count_nonzero(bad.any(2))
    if not pixels:
        return
    answer = f"`nodata`={nodata_text(reading, [example])} leaves out pixels with such a value"
    numbers = np.asarray(numbers)
    whole = numbers[in_band == np.count_nonzero(has_data)].tolist()
    if len(whole) == cube.shape[2]:
        answer = "no band holds anything else: check the file, or bring it to another unit"
    elif whole:
        answer = (
            f"`drop_bands`={reading.dropping(whole)} leaves out the bands that hold nothing else"
        )
    raise InputError(
        f"The cube of {source} has NaN or infinite values, or values beyond float32, in {pixels} "
        f"pixel(s), first in band {numbers[in_band > 0][0]} (counted from 0), for example "
        f"{format_value(example)}; {answer}."
    )


@dataclass(frozen=True)
class FillValue:
    """A value that looks like "no data" but is not declared so.

    Attributes:
        value: of the cube's dtype.
        pixels: that hold it in all bands, or, where it does not fill spectra, in any.
        labelled: those of them that have a label.
        spoils: whether it lies so far outside that it would spoil the scaling.
        whole: whether it fills whole spectra.
    """

    value: float
    pixels: int
    labelled: int
    spoils: bool
    whole: bool

    def __str__(self):
        where = "in all bands" if self.whole else "in some bands"
        return f"{format_value(self.value)} {where} of {self.pixels} pixels"


def format_value(value: float) -> str:
    """A value as a flag takes it: whole where it is whole, else with the digits of float32."""
    if abs(value) < 1e15 and value == int(value):
        return f"{int(value)}"
    return str(np.float32(value)) if abs(value) <= _MAX_FLOAT32 else f"{value:.9g}"


def nodata_text(reading: ReadOptions, more: Sequence[float]) -> str:
    """The text of `nodata` that declares more values than it does now."""
    return ",".join(dict.fromkeys(map(format_value, (*reading.nodata, *more))))


def find_fill_values(
    cube: np.ndarray,
    has_data: np.ndarray,
    labelled: np.ndarray | None,
    ignored: Collection[int] = (),
) -> list[FillValue]:
    """The values of a cube that look like "no data", the most frequent first.

    Such is a value that fills the whole spectra of some pixels and is 0 or lies outside of most
    other values; it spoils the scaling if it lies outside by more than their own span. Such is also
    a value that lies outside by a thousand spans, which spoils the scaling, and one that lies
    outside by three and is the most frequent one of those.

    Args:
        cube: finite real numbers, [rows, columns, bands].
        has_data: bool [rows, columns], the pixels to look at.
        labelled: bool [rows, columns], or None.
        ignored: bands that do not count, such as constant ones.
    """
    counted = [band for band in range(cube.shape[2]) if band not in ignored]
    if len(counted) < 2:
        return []
    labelled = np.zeros(has_data.shape, bool) if labelled is None else labelled
    flat = has_data & (cube[..., counted[0]] == cube[..., counted[-1]])
    for band in counted[1:-1]:
        if not flat.any():
            break
        flat[flat] = cube[flat, band] == cube[flat, counted[0]]
    low, high = _usual(cube, has_data & ~flat, counted)
    if not high > low:
        return []
    found = []
    values, counts = np.unique(cube[flat, counted[0]], return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        far = _is_far(value, low, high, _FAR_IN_SPECTRA)
        outside = not low <= value <= high and len(counted) >= _MIN_BANDS
        if count >= _MIN_PIXELS and (far or outside or value == 0):
            where = flat & (cube[..., counted[0]] == value)
            inside = int(np.count_nonzero(where & labelled))
            # Zeros around what is labelled are how some scenes are published.
            spoils = bool(far and (value != 0 or inside > 0))
            found.append(FillValue(value, count, inside, spoils, True))
    found.sort(key=lambda fill: -fill.pixels)
    return [*found, *_far_values(cube, has_data & ~flat, labelled, counted, low, high)][:_MAX_FOUND]


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
    cube: np.ndarray,
    where: np.ndarray,
    labelled: np.ndarray,
    counted: list[int],
    low: float,
    high: float,
) -> list[FillValue]:
    """Values outside, in any band of pixels whose spectra they do not fill."""
    least, most = (np.float64(x) for x in (low - _ODD * (high - low), high + _ODD * (high - low)))
    times, blocks = Counter(), []
    for rows in _blocks(cube):
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
    found = []
    near = sum(count for value, count in times.items() if not _is_far(value, low, high, _FAR))
    for value, count in times.most_common():
        spoils = _is_far(value, low, high, _FAR)
        if len(found) == _MAX_FOUND or not (spoils or 2 * count > near):
            continue
        held = [(odd & (cube[rows] == value)).any(2) for rows, odd in blocks]
        pixels = sum(int(np.count_nonzero(part)) for part in held)
        parts = zip(blocks, held, strict=True)
        inside = sum(int(np.count_nonzero(part & labelled[rows])) for (rows, _), part in parts)
        if spoils or pixels >= _MIN_PIXELS:
            found.append(FillValue(value, pixels, inside, spoils, whole=False))
    return found
