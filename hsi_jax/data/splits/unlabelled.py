"""Which pixels are learnt from without labels, and on which of them errors are measured."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from hsi_jax.data.splits.split import NO_IDS, Split, seeded_generator
from hsi_jax.errors import InputError


def unlabelled_split(
    shape: Sequence[int],
    seed: int,
    *,
    validation_fraction: float,
    nodata: np.ndarray | None = None,
    without: Split | None = None,
) -> Split:
    """All pixels with data, some of them held out at random to measure errors on.

    Args:
        shape: (rows, columns, ...) of the scene.
        seed: of the draw, 0 or more.
        validation_fraction: part f of the n pixels that is held out: floor(f * n) of them.
        nodata: bool [rows, columns], True where a pixel has no data; or None.
        without: a split of labelled pixels whose test pixels are left out, and become those of the
            result; None to leave out none.

    Returns:
        A split; what is held out is its validation.

    Raises:
        InputError: if no pixel is left to learn from.
    """
    rows, columns = shape[:2]
    usable = np.ones(rows * columns, bool) if nodata is None else ~nodata.ravel()
    test = NO_IDS if without is None else without.test
    usable[test] = False
    ids = np.flatnonzero(usable).astype(np.int32)
    number = math.floor(Fraction(str(validation_fraction)) * len(ids))
    held = np.sort(seeded_generator(seed, stream=3).permutation(ids)[:number])
    train = np.setdiff1d(ids, held)
    if not train.size:
        raise InputError("no pixel has data and is left to learn from; check `nodata` and `split`")
    if without is None:
        kind = "all pixels"
        seen = (
            "Labels are not read. All pixels with data are seen, and with them the test pixels of "
            "any split of this scene."
        )
    else:
        kind = f"without the test pixels of a {without.kind} split"
        seen = (
            f"Labels decide only which pixels are left out: the {len(test)} test pixels of the "
            f"{without.kind} split are hidden in all patches, so none of them is seen."
        )
    remarks = [seen]
    if number:
        remarks.append(
            f"{number} of {len(ids)} pixels, drawn at random, are held out to measure errors on; "
            f"they lie in the patches of others."
        )
    return Split(kind, train, held, test, tuple(remarks))
