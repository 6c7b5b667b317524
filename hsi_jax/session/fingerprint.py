"""Digests of the data of a run, by which a changed or another file is noticed."""

import hashlib
from dataclasses import dataclass

import jax
import numpy as np

from hsi_jax.data.scene.stored_cube import StoredCube, row_blocks
from hsi_jax.train import Dataset
from hsi_jax.trained.starting import Start


@dataclass(frozen=True)
class Fingerprint:
    """SHA-256 digests of the data of a run.

    Attributes:
        whole: of the inputs, the labels and the split together.
        parts: of each of them alone, by its name; the inputs are a "cube", "scenes" or "images".
            The digest of a cube is that of `digest_of_cube`.
    """

    whole: str
    parts: dict[str, str]


def fingerprint(dataset: Dataset, start: Start | None = None) -> Fingerprint:
    """Digests of the data and their split, and of the model that training starts from.

    The inputs are read once.

    Of a set of images, which may be large, it looks at the pixels of 64 only; of the scenes of a
    collection, at some pixels of each.
    """
    inputs, labels, split = _digest_inputs(dataset), hashlib.sha256(), hashlib.sha256()
    whole = inputs.copy()
    _add(dataset.labels, labels, whole)
    for array in (dataset.split.train, dataset.split.validation, dataset.split.test):
        _add(array, split, whole)
    name = "cube" if dataset.scene else "scenes" if dataset.pixels else "images"
    parts = {name: inputs, "labels": labels, "split": split}
    if start is not None:
        parts["starting model"] = hashlib.sha256()
        for array in jax.tree.leaves((start.model.params, start.model.batch_stats)):
            _add(np.asarray(array), parts["starting model"], whole)
    return Fingerprint(whole.hexdigest(), {key: part.hexdigest() for key, part in parts.items()})


def digest_of_cube(cube: np.ndarray | StoredCube) -> str:
    """SHA-256 of the numbers of a cube, [rows, columns, bands], and of their type and shape."""
    return _digest_blocks(cube).hexdigest()


def _digest_inputs(dataset: Dataset):
    if dataset.scene:
        return _digest_blocks(dataset.scene.cube)
    if dataset.pixels:
        return dataset.pixels.collection.digest()
    some = np.linspace(0, len(dataset.labels) - 1, 64).astype(int)
    return _digest_blocks(dataset.require_images().read(some))


def _digest_blocks(inputs: np.ndarray | StoredCube):
    digest = hashlib.sha256(f"{inputs.dtype} {inputs.shape}".encode())
    for _, block in row_blocks(inputs):
        digest.update(np.ascontiguousarray(block).data)  # no copy: it may be a large cube
    return digest


def _add(array: np.ndarray, *digests) -> None:
    for digest in digests:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
