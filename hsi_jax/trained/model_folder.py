"""The folder of a trained model: open formats, digests, and nothing that is executed.

model.json holds all that is text or a few numbers, weights.npz the parameters, running statistics
and preprocessing as plain arrays, and manifest.json the SHA-256 of both.
"""

import shutil
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import hsi_jax
from hsi_jax.errors import InputError, StorageError
from hsi_jax.json_file import read_json
from hsi_jax.run.manifest import find_damage, write_manifest
from hsi_jax.train.dataset import Dataset

FORMAT = 1
DESCRIPTION, WEIGHTS = "model.json", "weights.npz"

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from; what is not known is empty.

    Attributes:
        dataset: name of the data it was trained on.
        note: what a reader of its results has to know.
        split: kind of the split.
        counts: samples of each set of the split.
        seed: of the training.
        steps: updates of the parameters.
        test: OA, AA and kappa on the test samples, fractions of 1.
        versions: of the libraries it was trained with.
    """

    dataset: str = ""
    note: str = ""
    split: str = ""
    counts: dict[str, int] = {}
    seed: int | None = None
    steps: int = 0
    test: dict[str, float] = {}
    versions: dict[str, str] = {}


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """All of a trained model but its arrays: the content of model.json.

    Attributes:
        format: number of the format of the folder.
        kind: "patch" for the pixels of scenes, "image" for whole images.
        architecture: name of `hsi_jax.models.MODELS`, or package.module:factory.
        options: of the architecture, as `hsi_jax.models.parse_options` reads them.
        class_names: C names.
        class_ids: the id that each class has in label files.
        colours: of each class, "#rrggbb".
        unlabelled_id: the id of pixels without a class in label files.
        input_shape: of one input: rows, columns and channels after preprocessing.
        num_bands: bands of the scenes, or channels of the images, that it takes.
        wavelengths: of these bands, nm, or None where they are not known.
        band_names: of these bands; empty where they are not known.
        value_ranges: of each such band, the 1st and the 99th percentile of the training scene;
            empty where they are not known.
        file_bands: bands of the training scene's file; None if all of them were used.
        kept_bands: those of them that were used, counted from 0; None if all were.
        band_axis: axis along which the bands lay in that file.
        nodata_values: values that stood for no data in the training scene; NaN is null.
        image_dtype: of the images, such as "uint16"; empty for scenes, and where it is not known.
        mean: subtracted from each channel of an image; empty for scenes.
        deviation: by which it is then divided.
        microbatch_size: samples that are predicted together; another number may round otherwise.
        provenance: where the model comes from.
    """

    format: int = FORMAT
    kind: str
    architecture: str
    options: str
    class_names: tuple[str, ...]
    class_ids: tuple[int, ...]
    colours: tuple[str, ...]
    unlabelled_id: int = -1
    input_shape: tuple[int, int, int]
    num_bands: int
    wavelengths: tuple[float, ...] | None = None
    band_names: tuple[str, ...] = ()
    value_ranges: tuple[tuple[float, float], ...] = ()
    file_bands: int | None = None
    kept_bands: tuple[int, ...] | None = None
    band_axis: int = 2
    nodata_values: tuple[float | None, ...] = ()
    image_dtype: str = ""
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    microbatch_size: int = 16
    provenance: Provenance = msgspec.field(default_factory=Provenance)


def write_model(
    folder: Path, description: Description, arrays: Mapping[str, np.ndarray], overwrite: bool
) -> None:
    """Writes a model's folder, whole or not at all.

    Args:
        folder: that is made.
        description: all but the arrays.
        arrays: by name; "/" separates the levels of a tree.
        overwrite: whether a saved model may be replaced.

    Raises:
        InputError: if there is something that may not be replaced.
        StorageError: if the folder cannot be written.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    if folder.exists() and not (overwrite and (folder / DESCRIPTION).is_file()):
        raise InputError(
            f"{folder} exists already; choose another folder for the model, or, if it holds a "
            f"saved model, replace it with `overwrite`=True"
        )
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        text = msgspec.json.format(msgspec.json.encode(description), indent=2)
        (partial / DESCRIPTION).write_bytes(text + b"\n")
        named: dict[str, Any] = dict(arrays)  # NumPy's stubs know a keyword of its own
        with open(partial / WEIGHTS, "wb") as file:
            np.savez_compressed(file, **named)
        write_manifest(partial)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StorageError(f"the model cannot be written to {folder}: {error}") from None


def read_model(folder: Path) -> tuple[Description, dict[str, np.ndarray]]:
    """Reads a model's folder and checks that it is whole.

    Raises:
        InputError: if the folder holds no model, a damaged one, or one of another format.
    """
    if not (folder / DESCRIPTION).is_file():
        raise InputError(f"{folder} holds no trained model (no {DESCRIPTION}); check the folder")
    if damage := find_damage(folder):
        raise InputError(f"the model in {folder} is damaged: {damage}; take another copy of it")
    description = read_description(read_json(folder / DESCRIPTION), str(folder / DESCRIPTION))
    try:
        with np.load(folder / WEIGHTS, allow_pickle=False) as file:
            return description, dict(file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{folder / WEIGHTS} cannot be read: {error}") from None


def read_description(content: Any, source: str) -> Description:
    """The description that was read as JSON.

    Args:
        content: what JSON gave.
        source: where it comes from, for messages.

    Raises:
        InputError: if it is of another format or does not describe a model.
    """
    number = content.get("format") if isinstance(content, dict) else None
    if number != FORMAT:
        raise InputError(
            f"{source} has format {number}, but this version of hsi_jax reads format {FORMAT}; use "
            f"the version that wrote it"
        )
    try:
        return msgspec.convert(content, Description)
    except msgspec.ValidationError as error:
        raise InputError(f"{source} does not describe a trained model: {error}") from None


def provenance_of(
    dataset: Dataset, seed: int, steps: int, test: dict[str, float] | None = None
) -> Provenance:
    """Where a model that was trained on a dataset comes from.

    Args:
        dataset: that it learnt from.
        seed: of the training.
        steps: updates of its parameters.
        test: OA, AA and kappa on the test samples, where they are known.
    """
    split = dataset.split
    return Provenance(
        dataset=dataset.name,
        note=dataset.note,
        split=split.kind,
        counts={
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        },
        seed=seed,
        steps=steps,
        test=test or {},
        versions=library_versions(),
    )


def library_versions() -> dict[str, str]:
    """Versions of hsi_jax and of the libraries that its results depend on."""
    return {"hsi_jax": hsi_jax.__version__, **{name: version(name) for name in PACKAGES}}
