"""How far the sets of a split lie apart, and how much it leaks where they do not."""

from collections.abc import Sequence

import numpy as np

from hsi_jax.data.splits.split import Split
from hsi_jax.errors import InputError


def count_leakage(split: Split, shape: Sequence[int], patch_size: int, which: str = "test") -> int:
    """Counts the pixels of a set whose patch contains a pixel that was learnt from.

    That is a training pixel; for test pixels a validation pixel too, since it chooses the state.

    Args:
        split: the split.
        shape: (rows, columns, ...) of the scene.
        patch_size: side of the patch, in pixels. The patch of a pixel at row r begins at row
            r - patch_size // 2; columns are alike.
        which: "test" or "validation".

    Raises:
        InputError: for another set.
    """
    if which not in ("test", "validation"):
        raise InputError(f"`which`={which}: choose test or validation")
    is_test = which == "test"
    seen = np.concatenate([split.train, split.validation]) if is_test else split.train
    looked_at = split.test if is_test else split.validation
    return int(np.count_nonzero(dilate(seen, shape[:2], patch_size)[looked_at]))


def dilate(ids: np.ndarray, shape: Sequence[int], size: int) -> np.ndarray:
    """Returns, per flat pixel id, whether its size x size window contains one of the ids."""
    from scipy.ndimage import maximum_filter  # slow to import

    mask = np.zeros(shape, bool)
    mask.ravel()[ids] = True
    return maximum_filter(mask, size=size, mode="constant", cval=False).ravel()
