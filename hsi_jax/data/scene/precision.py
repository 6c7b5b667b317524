"""Whether float32, in which cubes are kept, can tell the values of a cube apart."""

import numpy as np

from hsi_jax.data.scene.read_options import bands_to_text
from hsi_jax.errors import InputError

# Numbers of float32 between the least and the largest value of a band: few, and too few.
_FEW_LEVELS, _MIN_LEVELS = 64, 8
_BLOCK = 4_000_000  # numbers that are looked at together


def check_precision(
    numbers: np.ndarray, has_data: np.ndarray, source: str, kept: np.ndarray
) -> tuple[str, ...]:
    """Says which bands become coarse, a sentence.

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
            f"them apart; subtract a number from the cube that is near to them."
        )
    bands = bands_to_text(kept[coarse].tolist())
    return (
        f"The values of the bands {bands} (counted from 0) lie so close together ({example}) that "
        f"float32 rounds them coarsely; subtract a number that is near to them.",
    )


def _limits(numbers: np.ndarray, has_data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value of each band where there are data, float64 [bands]."""
    rows = max(1, _BLOCK // (numbers.shape[1] * numbers.shape[2]))
    limits = [
        (part.min(0).astype(np.float64), part.max(0).astype(np.float64))
        for start in range(0, len(numbers), rows)
        if (part := numbers[start : start + rows][has_data[start : start + rows]]).size
    ]
    lows, highs = zip(*limits, strict=True)
    return np.min(lows, 0), np.max(highs, 0)
