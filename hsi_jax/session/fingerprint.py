"""Digests of the data of a run, by which a changed or another file is noticed."""

import hashlib

import numpy as np

from hsi_jax.data.scene.stored_cube import StoredCube, row_blocks
from hsi_jax.train import Dataset


def fingerprint(dataset: Dataset) -> str:
    """A digest of the data and their split, by which a changed file is noticed.

    Of a set of images, which may be large, it looks at the pixels of 64 only.
    """
    digest = _digest_inputs(dataset)
    split = dataset.split
    for array in (dataset.labels, split.train, split.validation, split.test):
        _add(digest, array)
    return digest.hexdigest()


def fingerprints(dataset: Dataset) -> dict[str, str]:
    """Digests of the inputs, the labels and the split, each alone."""
    labels, split = hashlib.sha256(), hashlib.sha256()
    _add(labels, dataset.labels)
    for array in (dataset.split.train, dataset.split.validation, dataset.split.test):
        _add(split, array)
    inputs = _digest_inputs(dataset)
    parts = {"images" if dataset.scene is None else "cube": inputs, "labels": labels}
    return {name: part.hexdigest() for name, part in {**parts, "split": split}.items()}


def digest_of_cube(cube: np.ndarray | StoredCube) -> str:
    """SHA-256 of the numbers of a cube, [rows, columns, bands], and of their type and shape."""
    return _digest_blocks(cube).hexdigest()


def _digest_inputs(dataset: Dataset):
    if dataset.scene:
        return _digest_blocks(dataset.scene.cube)
    some = np.linspace(0, len(dataset.labels) - 1, 64).astype(int)
    return _digest_blocks(dataset.require_images().read(some))


def _digest_blocks(inputs: np.ndarray | StoredCube):
    digest = hashlib.sha256(f"{inputs.dtype} {inputs.shape}".encode())
    for _, block in row_blocks(inputs):
        digest.update(np.ascontiguousarray(block).data)  # no copy: it may be a large cube
    return digest


def _add(digest, array: np.ndarray) -> None:
    digest.update(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
