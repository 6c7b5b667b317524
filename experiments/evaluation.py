"""How well a state does on a set of the split, and what it makes of a whole scene."""

import math

import numpy as np
from tqdm import tqdm

from experiments import pictures
from experiments.setup import Setup
from hsi_jax.errors import InputError
from hsi_jax.evaluate import confusion_matrix, scores
from hsi_jax.hetero.cluster import rank
from hsi_jax.train import TrainState, predict


def evaluate(
    setup: Setup, state: TrainState, name: str, step: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Classes, int32 [n], confusion matrix, int [C, C], and mean loss over a set of the split.

    The scores go into the metrics as well.

    Raises:
        InputError: if the loss is not finite, as after a last update that went astray.
    """
    ids = getattr(setup.dataset.split, name)
    classes, losses = predict(setup.replicas, state, ids)
    loss = float(np.mean(losses, dtype=np.float64))
    if not math.isfinite(loss):
        raise InputError(
            f"the loss over {len(ids)} samples is {loss}: training has diverged; "
            f"lower --learning_rate"
        )
    confusion = confusion_matrix(setup.dataset.labels[ids], classes, setup.dataset.num_classes)
    measured = scores(confusion)
    setup.folder.append_metrics(
        {
            "kind": "evaluation",
            "set": name,
            "step": step,
            "loss": loss,
            "overall_accuracy": measured.overall_accuracy,
            "average_accuracy": measured.average_accuracy,
            "kappa": measured.kappa,
        }
    )
    return classes, confusion, loss


def map_scene(setup: Setup, state: TrainState, confusion: np.ndarray) -> None:
    """Classifies and draws all pixels of the scene; every process does its part."""
    scene = setup.dataset.scene
    ids = np.arange(scene.labels.size, dtype=np.int32)
    quiet = True if rank() > 0 else None
    with tqdm(total=len(ids), unit="pixel", desc="map", disable=quiet) as bar:
        classes, _ = predict(setup.replicas, state, ids, bar.update)
    if rank() == 0:
        prediction = classes.reshape(scene.labels.shape)
        pictures.write_map(setup.folder, scene, setup.dataset.split, prediction, confusion)
