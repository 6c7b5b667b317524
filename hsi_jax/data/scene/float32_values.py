"""Whether float32, in which cubes are kept, holds the values of a cube and tells them apart."""

import numpy as np

from hsi_jax.data.scene.bands import row_parts
from hsi_jax.data.scene.read_options import MAX_FLOAT32, ReadOptions, bands_to_text, format_value
from hsi_jax.errors import InputError

# Numbers of float32 between the least and the largest value of a band: few, and too few.
_FEW_LEVELS, _MIN_LEVELS = 64, 8


def check_finite(
    cube: np.ndarray,
    has_data: np.ndarray,
    source: str,
    *,
    bands: np.ndarray,
    reading: ReadOptions,
) -> None:
    """Checks that all values are finite in float32 where there are data.

    Args:
        cube: real numbers, [rows, columns, bands].
        has_data: bool [rows, columns].
        source: where the cube comes from, for messages.
        bands: numbers of its bands in the file.
        reading: what is already left out, which the messages repeat.

    Raises:
        InputError: naming the bands or the values, and what can be done with them.
    """
    if cube.dtype.kind != "f":
        return
    in_band = np.zeros(cube.shape[2], int)
    pixels, example = 0, 0.0
    for rows in row_parts(cube):
        bad = ~(np.abs(cube[rows]) <= np.float64(MAX_FLOAT32))
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
    answer = f"`nodata`={reading.declaring([example])} leaves out pixels with such a value"
    whole = bands[in_band == np.count_nonzero(has_data)].tolist()
    if len(whole) == cube.shape[2]:
        answer = "no band holds anything else: check the file, or bring it to another unit"
    elif whole:
        answer = (
            f"`drop_bands`={reading.dropping(whole)} leaves out the bands that hold nothing else"
        )
    raise InputError(
        f"The cube of {source} has NaN or infinite values, or values beyond float32, in {pixels} "
        f"pixel(s), first in band {bands[in_band > 0][0]} (counted from 0), for example "
        f"{format_value(example)}; {answer}."
    )


def check_precision(
    numbers: np.ndarray, has_data: np.ndarray, source: str, kept: np.ndarray
) -> tuple[str, ...]:
    """A remark on the bands that float32 rounds coarsely, if there are any.

    Args:
        numbers: real, [rows, columns, bands], finite in float32 where there are data.
        has_data: bool [rows, columns].
        source: where the cube comes from, for messages.
        kept: numbers of its bands in the file.

    Raises:
        InputError: if all bands but those of one value become useless.
    """
    if np.can_cast(numbers.dtype, np.float32):
        return ()
    least, most = _limits(numbers, has_data)
    spacing = np.spacing(np.maximum(np.abs(least), np.abs(most)).astype(np.float32))
    varied = most > least
    levels = (most - least) / spacing.astype(np.float64)
    coarse = varied & (levels < _FEW_LEVELS)
    if not coarse.any():
        return ()
    first = int(np.flatnonzero(coarse)[0])
    example = f"{least[first]:.12g} to {most[first]:.12g}"
    if (levels[varied] < _MIN_LEVELS).all():
        raise InputError(
            f"The values of the cube of {source} lie so close together ({example} in band "
            f"{kept[first]}, counted from 0) that float32, in which a cube is kept, cannot tell "
            f"them apart; subtract a number near them from the cube."
        )
    bands = bands_to_text(kept[coarse].tolist())
    return (
        f"The values of the bands {bands} (counted from 0) lie so close together ({example}) that "
        f"float32 rounds them coarsely; subtract a number near them.",
    )


def _limits(numbers: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value of each band where there are data, float64 [bands]."""
    limits = [
        (part.min(0).astype(np.float64), part.max(0).astype(np.float64))
        for rows in row_parts(numbers)
        if (part := numbers[rows][has_data[rows]]).size
    ]
    lows, highs = zip(*limits, strict=True)
    return np.min(lows, 0), np.max(highs, 0)
