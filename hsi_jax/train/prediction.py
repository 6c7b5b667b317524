"""Prediction for any set of pixels, shared out over the devices like training."""

from collections.abc import Callable

import numpy as np

from hsi_jax.hetero import deal, make_plan
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import predict_step

SAMPLES_PER_CALL = 4096


def predict(
    replicas: Replicas,
    state: TrainState,
    ids: np.ndarray,
    on_progress: Callable[[int], object] = lambda samples: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts each pixel exactly once; the result does not depend on the profile.

    Args:
        replicas: the devices, whose plan's scheme and microbatch size are followed.
        state: not replicated.
        ids: sample ids, int32 [n], n >= 1.
        on_progress: told the number of samples after each call of the devices.

    Returns:
        Class indexes, int32 [n], and cross-entropy losses, float32 [n] (without meaning where a
        pixel is unlabelled).
    """
    step = replicas.pmap(predict_step)
    state = replicas.replicate(state)
    profile = replicas.profile.uncapped  # a share is worked through in microbatches
    size = replicas.plan.microbatch_size
    room = -(-SAMPLES_PER_CALL // size)
    classes, losses = [], []
    for start in range(0, len(ids), room * size):
        batch = ids[start : start + room * size]
        plan = make_plan(replicas.plan.scheme, profile, len(batch), size)
        outputs = fetch(step(state, replicas.patches, replicas.place(deal(batch, plan, room))))
        classes.append(outputs[0].ravel()[: len(batch)])
        losses.append(outputs[1].ravel()[: len(batch)])
        on_progress(len(batch))
    return np.concatenate(classes), np.concatenate(losses)
