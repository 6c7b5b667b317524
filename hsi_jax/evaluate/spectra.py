"""The spectrum of each class: mean and deviation over its labelled pixels."""

import numpy as np

from hsi_jax.errors import InputError


def class_spectra(
    cube: np.ndarray, labels: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Measures the spectra of the classes, one band after the other to save memory.

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
    cube, labels = np.asarray(cube), np.asarray(labels)
    if cube.ndim != 3 or cube.shape[:2] != labels.shape:
        raise InputError(
            f"`cube` has shape {cube.shape} and `labels` {labels.shape}; give a cube of rows, "
            f"columns and bands, and labels of the same rows and columns"
        )
    labelled = labels >= 0
    classes = labels[labelled]
    if classes.size and classes.max() >= num_classes:
        raise InputError(
            f"`labels` holds the class index {classes.max()}; give indexes below {num_classes}"
        )
    counts = np.bincount(classes, minlength=num_classes)
    empty = counts == 0
    mean, deviation = np.full((2, num_classes, cube.shape[2]), np.nan, np.float32)
    for band in range(cube.shape[2]):
        values = cube[:, :, band][labelled].astype(np.float64)
        centre = np.bincount(classes, values, num_classes) / np.maximum(counts, 1)
        squares = np.bincount(classes, (values - centre[classes]) ** 2, num_classes)
        mean[~empty, band] = centre[~empty]
        deviation[~empty, band] = np.sqrt(squares[~empty] / counts[~empty])
    return mean, deviation
