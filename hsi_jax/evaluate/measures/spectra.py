"""The spectrum of each class: mean and deviation over its labelled pixels."""

import numpy as np

from hsi_jax.data.scene.stored_cube import StoredCube, row_blocks
from hsi_jax.errors import InputError


def class_spectra(
    cube: np.ndarray | StoredCube, labels: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Measures the spectra of the classes.

    Args:
        cube: finite numbers [rows, columns, bands].
        labels: int [rows, columns], class indexes in 0..C-1, -1 where unlabelled.
        num_classes: C.

    Returns:
        Mean and population standard deviation, each float32 [C, bands], in the unit of the cube;
        nan for a class without pixels.

    Raises:
        InputError: if the shapes do not fit, or an index is not below C.
    """
    labels = np.asarray(labels)
    if cube.ndim != 3 or cube.shape[:2] != labels.shape:
        raise InputError(
            f"`cube` has shape {cube.shape} and `labels` {labels.shape}; give a cube of rows, "
            f"columns and bands, and labels of the same rows and columns"
        )
    classes = labels[labels >= 0]
    if classes.size and classes.max() >= num_classes:
        raise InputError(
            f"`labels` holds the class index {classes.max()}; give indexes below {num_classes}"
        )
    counts = np.bincount(classes, minlength=num_classes)[:, np.newaxis]
    counted = np.maximum(counts, 1)
    centre = _sums(cube, labels, num_classes) / counted
    squares = _sums(cube, labels, num_classes, around=centre)
    mean, deviation = np.where(counts > 0, (centre, np.sqrt(squares / counted)), np.nan)
    return mean.astype(np.float32), deviation.astype(np.float32)


def _sums(
    cube: np.ndarray | StoredCube,
    labels: np.ndarray,
    num_classes: int,
    around: np.ndarray | None = None,
) -> np.ndarray:
    """Sums of values, or of their squared distances from `around`, float64 [C, bands].

    Values are added one after the other, so that the sums do not depend on how a cube is read.
    """
    sums = np.zeros((num_classes, cube.shape[2]))
    for rows, block in row_blocks(cube):
        labelled = labels[rows] >= 0
        classes = labels[rows][labelled]
        for band in range(cube.shape[2]):
            values = block[:, :, band][labelled].astype(np.float64)
            if around is not None:
                values = (values - around[classes, band]) ** 2
            np.add.at(sums[:, band], classes, values)
    return sums
