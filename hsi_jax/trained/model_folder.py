"""Where a trained model is kept: in a folder of its own, or in a checkpoint of its run.

The folder has open formats, digests, and nothing that is executed:

model.json holds all that is text or a few numbers, weights.npz the parameters, running statistics
and preprocessing as plain arrays, and manifest.json the SHA-256 of both.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hsi_jax.errors import InputError, StorageError
from hsi_jax.json_file import read_text
from hsi_jax.run.checkpoint import Checkpoint
from hsi_jax.run.manifest import NAME as MANIFEST
from hsi_jax.run.manifest import find_damage, write_manifest
from hsi_jax.trained.description import Description, read_description
from hsi_jax.trained.network import flatten

DESCRIPTION, WEIGHTS = "model.json", "weights.npz"


class _Manifest(msgspec.Struct):
    """What a manifest lists, as `hsi_jax.run.manifest` writes it."""

    sha256: dict[str, str]


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


def read_folder(folder: Path) -> Description:
    """Checks that a model's folder is whole, and reads all but its arrays.

    Raises:
        InputError: if the folder holds no model, a damaged one, or one of another format.
    """
    if not (folder / DESCRIPTION).exists():
        raise InputError(f"{folder} holds no trained model (no {DESCRIPTION}); check the folder")
    if damage := _find_damage(folder):
        raise InputError(f"the model in {folder} is damaged: {damage}; take another copy of it")
    return read_description(read_text(folder / DESCRIPTION), str(folder / DESCRIPTION))


def read_checkpoint(checkpoint: Checkpoint) -> tuple[Description, dict[str, np.ndarray]]:
    """The description and the arrays of the best state in a checkpoint of a run.

    Raises:
        InputError: if the checkpoint does not describe its model.
    """
    facts, tree, source = checkpoint.facts, checkpoint.tree, "the checkpoint"
    if "model" not in facts:
        raise InputError(
            "the checkpoint does not describe its model; it was written by an earlier version, or "
            "without the facts of a run"
        )
    told = msgspec.to_builtins(read_description(facts["model"], source))
    told["provenance"]["steps"] = facts.get("best_step")  # checked again, as all of it
    state = tree.get("best", tree.get("state", {}))
    trees = {name: state.get(name, {}) for name in ("params", "batch_stats")}
    return read_description(told, source), flatten(trees | tree.get("model", {}))


def _find_damage(folder: Path) -> str:
    """What is wrong with the files of a model, or "". No pipe or device is opened."""
    for name in (DESCRIPTION, WEIGHTS, MANIFEST):
        if (folder / name).exists() and not (folder / name).is_file():
            return f"{name} is not a file"
    if not (folder / MANIFEST).exists():
        return f"it has no {MANIFEST}"
    try:
        listed = msgspec.json.decode(read_text(folder / MANIFEST), type=_Manifest).sha256
    except (InputError, msgspec.MsgspecError, RecursionError) as error:
        return f"its {MANIFEST} cannot be read ({error})"
    if set(listed) != {DESCRIPTION, WEIGHTS}:
        return f"its {MANIFEST} must list {DESCRIPTION} and {WEIGHTS}, and nothing else"
    return find_damage(folder)
