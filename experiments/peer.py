"""Outside baselines, PyTorch DDP and Horovod, on the data and first parameters of our runs."""

import dataclasses
import json
import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from flax import traverse_util

from experiments.config import Config
from experiments.setup import Setup, set_up
from experiments.training import steps_between_validations
from hsi_jax.data import batch_ids
from hsi_jax.errors import InputError
from hsi_jax.evaluate import confusion_matrix, scores
from hsi_jax.hetero import Profile, make_plan

# Scheme: the peer's module, the module it needs, and our scheme that divides the batch alike.
PEERS = {
    "ddp_even": ("ddp", "torch", "even"),
    "ddp_proportional": ("ddp", "torch", "balanced"),
    "horovod_even": ("horovod", "horovod", "even"),
    "horovod_proportional": ("horovod", "horovod", "balanced"),
}


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
    setup = set_up(
        dataclasses.replace(
            config, **alone, profile="1", scheme="balanced", workdir=str(path.parent / "none")
        )
    )
    steps = range(setup.num_steps)
    size = config.batch_size
    patches, split = setup.dataset.samples, setup.dataset.split
    if setup.dataset.scene is None:
        raise InputError(f"the PyTorch peers take scenes, and {config.dataset} is none")
    settings = {
        "patch_size": patches.patch_size,
        "columns": patches.columns,
        "validate_every": steps_between_validations(setup),
        **{name: getattr(config, name) for name in ("optimizer", "momentum", "weight_decay")},
    }
    np.savez(
        path,
        cube=patches.cube,
        labels=patches.labels,
        batches=np.stack([batch_ids(split.train, size, config.seed, t) for t in steps]),
        learning_rates=np.array([setup.schedule(step) for step in steps], np.float32),
        validation=split.validation,
        test=split.test,
        settings=json.dumps(settings),
        **traverse_util.flatten_dict({"params": setup.state.params}, sep="/"),
    )
    return setup


def peer_counts(scheme: str, profile: Profile, batch_size: int) -> tuple[int, ...]:
    """Samples of each rank, divided to the sample, evenly or by the declared speeds.

    Raises:
        InputError: if a rank would have none, which these peers cannot do.
    """
    counts = make_plan(PEERS[scheme][2], profile, batch_size, 1).counts
    if min(counts) < 1:
        raise InputError(f"{scheme} divides {batch_size} samples as {counts}; each rank needs one")
    return counts


def peer_command(
    scheme: str, counts: Sequence[int], python: str, handover: Path, workdir: Path
) -> Callable[..., tuple[str, ...]]:
    """Makes a rank's command for `experiments.launch.launch`."""

    def command(run_flags, coordinator, num_processes, process_id):
        return (
            *(python, "-m", f"benchmarks.peers.{PEERS[scheme][0]}", f"--rank={process_id}"),
            *(f"--world={num_processes}", f"--port={coordinator.rpartition(':')[2]}"),
            *(f"--counts={','.join(map(str, counts))}", f"--handover={handover}"),
            f"--workdir={workdir}",
        )

    return command


def start_folder(folder: Path) -> None:
    """An empty folder for a peer's run; what an unfinished one has left there is removed."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def summarise_peer(scheme: str, setup: Setup, counts: Sequence[int], folder: Path) -> dict:
    """A peer's summary.json, with those entries of ours that it has."""
    with np.load(folder / "result.npz") as arrays:
        result = dict(arrays)
    dataset = setup.dataset
    truth = dataset.labels[dataset.split.test]
    confusion = confusion_matrix(truth, result["test_classes"], dataset.num_classes)
    step_seconds = result["step_seconds"].tolist()
    return {
        **scores(confusion).to_json(),
        "confusion_matrix": confusion.tolist(),
        "scheme": scheme,
        "counts": list(counts),
        "batch_size": sum(counts),
        "split": {
            "kind": dataset.split.kind,
            "counts": {"train": len(dataset.split.train)},
        },
        "steps": len(step_seconds),
        "best_step": int(result["best_step"]),
        "step_time_ms_median": 1e3 * statistics.median(step_seconds),
        "interrupted": False,
        "versions": {"torch": str(result["torch"])},
    }
