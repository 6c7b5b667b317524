"""An input that no training can use: not finite, or far larger than inputs that are scaled."""

from typing import Any

import jax
import numpy as np

from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.samples import Patches, Stream

CHECK_DATA = "check the data there; `nodata` leaves out values of a scene that mean 'no data'"
_MAX_INPUT = 1e6  # in size; inputs that are scaled are some thousand times smaller
_CHUNK = 64  # samples that are looked at together


def find_input(replicas: Replicas, ids: np.ndarray) -> str | None:
    """Names the first input of some samples that is not finite, or much larger than others are.

    Only numbers with a fraction are looked at; pictures of whole numbers are always sound.

    Args:
        replicas: the devices, with the samples.
        ids: sample ids, int32 [n].

    Returns:
        Which input it is and its value, or None.
    """
    samples = replicas.samples
    held = None if isinstance(samples, Stream) else fetch(samples)
    for start in range(0, len(ids), _CHUNK):
        chunk = np.asarray(ids[start : start + _CHUNK], np.int32)
        if isinstance(samples, Stream):
            held = samples.rows(chunk[np.newaxis], 1)
        for leaf in jax.tree.leaves(_take(held, chunk)):
            values = np.asarray(leaf)
            if values.dtype.kind == "f" and values.ndim:
                odd = np.argwhere(~(np.abs(values) <= _MAX_INPUT))
                if odd.size:
                    first, *index = odd[0].tolist()
                    where = _place(held, int(chunk[first]), index)
                    return f"the input of {where} is {values[tuple(odd[0])]:g}"
    return None


def _take(samples: Any, ids: np.ndarray) -> Any:
    return samples.take(ids, np.int32(0))


def _place(samples: Any, sample: int, index: list[int]) -> str:
    """What people call the place of an input: the sample, or the pixel of a scene, and channel."""
    channel = f", channel {index[-1]}" if index else ""
    if not isinstance(samples, Patches):
        return f"sample {sample}{channel}"
    border = samples.patch_size // 2
    size = (samples.cube.shape[0] - 2 * border, samples.columns)
    pixel = zip(divmod(sample, samples.columns), index[:2], size, strict=True)
    # The border of a scene mirrors its pixels.
    row, column = (
        (length - 1) - abs((length - 1) - abs(centre + i - border)) for centre, i, length in pixel
    )
    return f"the pixel in row {row}, column {column}{channel} (counted from 0)"
