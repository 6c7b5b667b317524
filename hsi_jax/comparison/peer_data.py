"""What a peer is given, the data and first parameters of our runs, and what it gives back."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from hsi_jax.errors import InputError
from hsi_jax.evaluate import confusion_matrix, scores
from hsi_jax.options import values, with_values
from hsi_jax.run import RunFolder
from hsi_jax.run.summary import Outcome, to_json
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import resolve
from hsi_jax.session.setup import Setup, join_devices, set_up
from hsi_jax.session.summarise import summarise_split
from hsi_jax.train import Patches


@dataclass(frozen=True, kw_only=True)
class PeerOutcome(Outcome):
    """The summary of a peer's run; see also `Outcome`.

    Attributes:
        counts: samples of each rank, at the end if they have moved.
    """

    counts: tuple[int, ...]


def hand_over(options: RunOptions, path: Path) -> Setup:
    """Writes what a peer needs to train like the run of `options`: an .npz of

    - `cube`, padded by half a patch, float32 [rows, columns, bands], and `labels`, int32, of its
      pixels without the border;
    - `batches`, sample ids of each step, int32 [steps, B], and `learning_rates`, float32 [steps];
    - `validation` and `test`, sample ids, int32 [n];
    - the first parameters by their names in Flax, "params/Conv_0/kernel" and so on;
    - `settings`, JSON: patch_size, columns, validate_every, steps_per_epoch, optimizer, momentum,
      weight_decay.

    Returns:
        The setup that it was made from.

    Raises:
        InputError: if the samples are not pixels of a scene.
    """
    alone = {"coordinator": "", "num_processes": None, "process_id": None, "time_devices": False}
    options = with_values(
        options, **alone, profile="1", scheme="balanced", workdir=str(path.parent / "none")
    )
    resolved = resolve(options, in_cluster=False)
    setup = set_up(resolved, join_devices(resolved), RunFolder(options.output.workdir))
    patches, split = setup.dataset.samples, setup.dataset.split
    if not isinstance(patches, Patches):
        raise InputError(f"`dataset`={options.data.dataset}: the PyTorch peers need a scene")
    batches = setup.dataset.batches(setup.recipe)
    steps = range(setup.num_steps)
    settings = {
        "patch_size": patches.patch_size,
        "columns": patches.columns,
        "validate_every": setup.steps_between_validations,
        "steps_per_epoch": -(-len(split.train) // options.recipe.batch_size),
        **{name: values(options)[name] for name in ("optimizer", "momentum", "weight_decay")},
    }
    arrays: dict[str, Any] = {
        "cube": patches.cube,
        "labels": patches.labels,
        "batches": np.stack([batches(step) for step in steps]),
        "learning_rates": np.array([setup.schedule(step) for step in steps], np.float32),
        "validation": split.validation,
        "test": split.test,
        "settings": json.dumps(settings),
        **traverse_util.flatten_dict({"params": setup.state.params}, sep="/"),
    }
    np.savez(path, **arrays)
    return setup


def summarise_peer(
    scheme: str, setup: Setup, counts: Sequence[int], folder: Path
) -> dict[str, Any]:
    """The content of a peer's summary.json; see `PeerOutcome`."""
    with np.load(folder / "result.npz") as arrays:
        result = dict(arrays)
    dataset = setup.dataset
    truth = dataset.labels[dataset.split.test]
    confusion = confusion_matrix(truth, result["test_classes"], dataset.num_classes)
    measured = scores(confusion)
    step_seconds = result["step_seconds"].tolist()
    outcome = PeerOutcome(
        overall_accuracy=measured.overall_accuracy,
        average_accuracy=measured.average_accuracy,
        kappa=measured.kappa,
        per_class_accuracy=[None if math.isnan(a) else a for a in measured.per_class_accuracy],
        classes_present=measured.classes_present,
        confusion_matrix=confusion.tolist(),
        scheme=scheme,
        counts=tuple(result.get("counts", np.array(counts)).tolist()),
        batch_size=sum(counts),
        split=summarise_split(dataset),
        steps=len(step_seconds),
        best_step=int(result["best_step"]),
        step_time_ms_median=1e3 * statistics.median(step_seconds),
        interrupted=False,
        versions={"torch": str(result["torch"])},
    )
    return to_json(outcome)
