"""A hyperspectral scene: a cube of spectra and a map of class labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class Scene:
    """A hyperspectral cube with its ground truth, classes numbered from 0.

    Attributes:
        name: short name, used in file names and log lines.
        cube: float32 [rows, columns, bands], in whatever unit the file has; all values finite.
        labels: int32 [rows, columns], class index 0..C-1, or -1 where a pixel is unlabelled.
        class_names: C names.
        class_ids: the id that each class has in the file, increasing.
        rgb_bands: 0-based bands to show as red, green and blue, or None if not known.
        background: the id that stands for "unlabelled" in the file.
        note: what a reader of results on this scene has to know, or "".
    """

    name: str
    cube: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    class_ids: tuple[int, ...]
    rgb_bands: tuple[int, int, int] | None = None
    background: int = 0
    note: str = ""

    @classmethod
    def from_arrays(
        cls,
        name: str,
        cube: np.ndarray,
        label_ids: np.ndarray,
        class_names: Mapping[int, str] | None = None,
        rgb_bands: tuple[int, int, int] | None = None,
        background: int = 0,
        source: str = "the arrays given",
        note: str = "",
    ) -> "Scene":
        """Checks a cube and its label map and renumbers the classes 0..C-1.

        Args:
            name: short name of the scene.
            cube: real numbers, [rows, columns, bands].
            label_ids: whole numbers of any dtype, [rows, columns]; the ids need not be contiguous.
            class_names: name of each id; an id without one is called "class <id>".
            rgb_bands: 0-based bands to show as red, green and blue.
            background: the id of unlabelled pixels.
            source: where the arrays come from, for error messages.
            note: what a reader of results on this scene has to know.

        Raises:
            InputError: if the cube is not 3-D, not real or not finite, if the labels are not a
                2-D map of whole numbers of the cube's rows and columns with at least two classes,
                or if rgb_bands are not three bands of the cube.
        """
        cube = _checked_cube(np.asarray(cube), source)
        label_ids = _checked_label_ids(np.asarray(label_ids), cube.shape, source)
        class_ids, labels = _renumber(label_ids, background, source)
        names = class_names or {}
        if rgb_bands is not None:
            _check_rgb_bands(rgb_bands, cube.shape[2], source)
        return cls(
            name=name,
            cube=cube,
            labels=labels,
            class_names=tuple(names.get(i, f"class {i}") for i in class_ids),
            class_ids=class_ids,
            rgb_bands=rgb_bands,
            background=background,
            note=note,
        )

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return len(self.class_ids)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, bands)."""
        return self.cube.shape

    @property
    def labelled(self) -> np.ndarray:
        """Flat ids (row * columns + column) of the labelled pixels, int32, increasing."""
        return np.flatnonzero(self.labels != UNLABELLED).astype(np.int32)

    def original_labels(self, labels: np.ndarray) -> np.ndarray:
        """Turns class indexes back into the ids of the file (-1 becomes the background id).

        Args:
            labels: class indexes 0..C-1 or -1, of any shape.

        Returns:
            The ids, int32, of the same shape.
        """
        labels = np.asarray(labels)
        ids = np.take(self.class_ids, labels)  # for -1 it is the last id, replaced below
        return np.where(labels == UNLABELLED, self.background, ids).astype(np.int32)


def _checked_cube(cube: np.ndarray, source: str) -> np.ndarray:
    if cube.ndim != 3 or 0 in cube.shape:
        raise InputError(
            f"The cube of {source} has shape {cube.shape}; it must be [rows, columns, bands]."
        )
    if cube.dtype.kind not in "iuf":
        raise InputError(f"The cube of {source} has dtype {cube.dtype}; it must hold real numbers.")
    with np.errstate(over="ignore"):  # a value beyond float32 becomes inf and is reported below
        cube = np.ascontiguousarray(cube, dtype=np.float32)
    bad = ~np.isfinite(cube)
    if bad.any():
        pixels = np.count_nonzero(bad.any(axis=2))
        first_band = np.flatnonzero(bad.any(axis=(0, 1)))[0]
        raise InputError(
            f"The cube of {source} has NaN or infinite values in {pixels} pixel(s), first in band "
            f"{first_band} (counted from 0); fill these pixels or remove the bands."
        )
    return cube


def _checked_label_ids(label_ids: np.ndarray, shape: tuple, source: str) -> np.ndarray:
    if label_ids.ndim != 2 or label_ids.shape != shape[:2]:
        raise InputError(
            f"The label map of {source} has shape {label_ids.shape}, but its cube has "
            f"{shape[0]} rows and {shape[1]} columns; give the label map of the same scene."
        )
    if label_ids.dtype.kind not in "iuf" or not np.array_equal(label_ids, np.rint(label_ids)):
        raise InputError(
            f"The label map of {source} ({label_ids.dtype}) has values that are not whole "
            f"numbers; give one class id per pixel."
        )
    if label_ids.min() < -(2**31) or label_ids.max() >= 2**31:
        raise InputError(
            f"The label map of {source} has ids from {label_ids.min()} to {label_ids.max()}; give "
            f"ids of 32 bits."
        )
    return label_ids.astype(np.int64)


def _renumber(
    label_ids: np.ndarray, background: int, source: str
) -> tuple[tuple[int, ...], np.ndarray]:
    """Returns the class ids, increasing, and the int32 map of class indexes."""
    class_ids = np.setdiff1d(label_ids, [background])
    if class_ids.size == 0:
        raise InputError(
            f"All pixels of the label map of {source} are unlabelled ({background}); give a map "
            f"with at least two classes."
        )
    if class_ids.size == 1:
        raise InputError(
            f"The label map of {source} has the single class id {class_ids[0]}; a classifier "
            f"needs at least two."
        )
    indexes = np.searchsorted(class_ids, label_ids)
    labels = np.where(label_ids == background, UNLABELLED, indexes).astype(np.int32)
    return tuple(class_ids.tolist()), labels


def _check_rgb_bands(rgb_bands: tuple, bands: int, source: str) -> None:
    if len(rgb_bands) != 3 or not all(0 <= band < bands for band in rgb_bands):
        raise InputError(
            f"rgb_bands {rgb_bands} of {source} must be three bands from 0 to {bands - 1}."
        )
