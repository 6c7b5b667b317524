"""A split from a file: maps that say which pixels train, validate and test."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from hsi_jax.data.files.reader import array_names, read_array
from hsi_jax.data.splits.split import NO_IDS, LabelledClasses, Split
from hsi_jax.errors import InputError


def file_split(
    path: str | Path,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    nodata: np.ndarray | None = None,
) -> Split:
    """Reads a split that somebody else defined.

    Args:
        path: .npz or .mat file with two maps, `train` and `test`, and perhaps a third one,
            `validation`, of the scene's rows and columns, boolean or whole numbers; non-zero means
            that the pixel belongs to the set.
        labels: int [rows, columns], class index or -1.
        class_names: for messages.
        nodata: bool [rows, columns], pixels without data, which are left out; or None.

    Raises:
        InputError: if a map is missing, empty or of another shape or type, if the maps overlap, or
            if they contain unlabelled pixels.
    """
    names = ["train", "test", *({"validation"} & {*array_names(path)})]
    read = {name: _read_ids(path, name, labels, nodata) for name in names}
    sets = {name: ids for name, (ids, _) in read.items()}
    for one, other in combinations(names, 2):
        overlap = np.intersect1d(sets[one], sets[other]).size
        if overlap:
            raise InputError(
                f"{overlap} pixel(s) are in both `{one}` and `{other}` of {path}; remove them "
                f"from one."
            )
    validation = sets.get("validation", NO_IDS)
    remarks = LabelledClasses.of(labels, class_names).coverage_remarks(
        sets["train"], sets["test"], beside=validation
    )
    if left_out := sum(count for _, count in read.values()):
        remarks = (f"{left_out} pixels of the split have no data.", *remarks)
    return Split("file", sets["train"], validation, sets["test"], remarks)


def read_split_map(path: str | Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Reads the map `name` of a split that somebody else defined, of a scene of this shape.

    Returns:
        Whole numbers (of any dtype) or bool, [rows, columns]; at least one is not zero.

    Raises:
        InputError: if it is missing, empty or of another shape or type.
    """
    values = read_array(path, name, ndim=2)
    if values.shape != shape:
        raise InputError(
            f"`{name}` of {path} has shape {values.shape}, but the scene has {shape}; give "
            f"a split of the same scene."
        )
    if not np.array_equal(values, np.rint(values)):
        raise InputError(f"`{name}` of {path} has values that are not whole numbers.")
    if not values.any():
        raise InputError(f"`{name}` of {path} is empty: all its values are zero.")
    return values


def _read_ids(
    path: str | Path, name: str, labels: np.ndarray, nodata: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Flat ids of the pixels that a map contains, and how many others have no data."""
    ids = np.flatnonzero(read_split_map(path, name, labels.shape)).astype(np.int32)
    kept = ids if nodata is None else ids[~nodata.ravel()[ids]]
    unlabelled = np.count_nonzero(labels.ravel()[kept] < 0)
    if unlabelled:
        raise InputError(
            f"`{name}` of {path} contains {unlabelled} pixel(s) that the scene's ground truth "
            f"leaves unlabelled; remove them."
        )
    return kept, len(ids) - len(kept)
