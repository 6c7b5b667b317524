"""Outside baselines, PyTorch DDP and Horovod, on the data and first parameters of our runs."""

import dataclasses
import json
import math
import shutil
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from experiments.config import Config
from experiments.resolve import resolve
from experiments.setup import Setup, join_devices, set_up
from hsi_jax.data import batch_ids
from hsi_jax.errors import InputError
from hsi_jax.evaluate import confusion_matrix, scores
from hsi_jax.hetero import Profile, make_plan
from hsi_jax.run import RunFolder
from hsi_jax.run.summary import Outcome, SplitSummary, to_json
from hsi_jax.train import Patches

# The peers' programs run under another Python. They are started by their paths, so that it finds
# their folder, and nothing else of ours.
PROGRAMS = Path(__file__).with_name("peers")


@dataclass(frozen=True)
class Peer:
    """Another program that trains like our runs.

    Attributes:
        label: its name in tables.
        script: its program, in `PROGRAMS`.
        module: the module that its Python must have.
        scheme: ours that divides the batch alike.
    """

    label: str
    script: str
    module: str
    scheme: str


PEERS: dict[str, Peer] = {
    "ddp_even": Peer("DDP even", "ddp_rank.py", "torch", "even"),
    "ddp_proportional": Peer("DDP proportional", "ddp_rank.py", "torch", "balanced"),
    "horovod_even": Peer("Horovod even", "horovod_rank.py", "horovod", "even"),
    "horovod_proportional": Peer("Horovod proportional", "horovod_rank.py", "horovod", "balanced"),
}


@dataclass(frozen=True, kw_only=True)
class PeerOutcome(Outcome):
    """The summary of a peer's run; see also `Outcome`.

    Attributes:
        counts: samples of each rank.
    """

    counts: tuple[int, ...]


def find_version(python: str, module: str) -> str | None:
    """The version of a module in that Python, or None if it cannot be imported."""
    code = f"import {module}; print({module}.__version__)"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def hand_over(config: Config, path: Path) -> Setup:
    """Writes what a peer needs to train like the run of `config`: an .npz of

    - `cube`, padded by half a patch, float32 [rows, columns, bands], and `labels`, int32, of its
      pixels without the border;
    - `batches`, sample ids of each step, int32 [steps, B], and `learning_rates`, float32 [steps];
    - `validation` and `test`, sample ids, int32 [n];
    - the first parameters by their names in Flax, "params/Conv_0/kernel" and so on;
    - `settings`, JSON: patch_size, columns, validate_every, optimizer, momentum, weight_decay.

    Returns:
        The setup that it was made from.

    Raises:
        InputError: if the samples are not pixels of a scene.
    """
    alone = {"coordinator": "", "num_processes": None, "process_id": None, "time_devices": False}
    config = dataclasses.replace(
        config, **alone, profile="1", scheme="balanced", workdir=str(path.parent / "none")
    )
    resolved = resolve(config, in_cluster=False)
    setup = set_up(resolved, join_devices(resolved), RunFolder(config.workdir))
    patches, split = setup.dataset.samples, setup.dataset.split
    if not isinstance(patches, Patches):
        raise InputError(f"`dataset`={config.dataset}: the PyTorch peers need a scene")
    steps, size = range(setup.num_steps), config.batch_size
    settings = {
        "patch_size": patches.patch_size,
        "columns": patches.columns,
        "validate_every": setup.steps_between_validations,
        **{name: getattr(config, name) for name in ("optimizer", "momentum", "weight_decay")},
    }
    arrays: dict[str, Any] = {
        "cube": patches.cube,
        "labels": patches.labels,
        "batches": np.stack([batch_ids(split.train, size, config.seed, t) for t in steps]),
        "learning_rates": np.array([setup.schedule(step) for step in steps], np.float32),
        "validation": split.validation,
        "test": split.test,
        "settings": json.dumps(settings),
        **traverse_util.flatten_dict({"params": setup.state.params}, sep="/"),
    }
    np.savez(path, **arrays)
    return setup


def peer_counts(scheme: str, profile: Profile, batch_size: int) -> tuple[int, ...]:
    """Samples of each rank, divided to the sample, evenly or by the declared speeds.

    Raises:
        InputError: if a rank would have none, which these peers cannot do.
    """
    counts = make_plan(PEERS[scheme].scheme, profile, batch_size, 1).counts
    if min(counts) < 1:
        raise InputError(
            f"`batch_size`={batch_size}: {scheme} divides it as {counts}; each rank needs one"
        )
    return counts


def peer_command(
    scheme: str, counts: Sequence[int], *, python: str, handover: Path, workdir: Path
) -> Callable[..., tuple[str, ...]]:
    """Makes the function that makes a rank's command, for `experiments.launch.launch`."""
    own = (f"--handover={handover}", f"--workdir={workdir}")

    def command(
        run_flags: Sequence[str], coordinator: str, num_processes: int, process_id: int
    ) -> tuple[str, ...]:
        port = int(coordinator.rpartition(":")[2])
        return rank_command(PEERS[scheme], counts, process_id, python=python, port=port) + own

    return command


def rank_command(
    peer: Peer, counts: Sequence[int], rank: int, *, python: str, port: int
) -> tuple[str, ...]:
    """The command of one rank of a peer that has counts[rank] samples of a batch.

    Args:
        peer: one of `PEERS`.
        counts: samples of each rank.
        rank: from 0.
        python: path of a Python that has the peer's module.
        port: a free TCP port, for rank 0.
    """
    return (
        *(python, str(PROGRAMS / peer.script), f"--rank={rank}", f"--world={len(counts)}"),
        *(f"--port={port}", f"--counts={','.join(map(str, counts))}"),
    )


def start_folder(folder: Path) -> None:
    """Makes an empty folder for a peer's run, in place of one that was left unfinished."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


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
        counts=tuple(counts),
        batch_size=sum(counts),
        split=SplitSummary(dataset.split.kind, {"train": len(dataset.split.train)}),
        steps=len(step_seconds),
        best_step=int(result["best_step"]),
        step_time_ms_median=1e3 * statistics.median(step_seconds),
        interrupted=False,
        versions={"torch": str(result["torch"])},
    )
    return to_json(outcome)
