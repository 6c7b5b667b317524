"""Prediction for any set of samples, shared out over the devices like training."""

from collections.abc import Callable

import numpy as np

from hsi_jax.hetero import deal, make_plan
from hsi_jax.train.feed import Feed
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import predict_step

SAMPLES_PER_CALL = 4096
STREAMED_BYTES_PER_CALL = 2**26


def predict(
    replicas: Replicas,
    state: TrainState,
    ids: np.ndarray,
    on_progress: Callable[[int], object] = lambda samples: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts each sample exactly once; the result does not depend on the profile.

    Args:
        replicas: the devices, whose plan's scheme and microbatch size are followed.
        state: of a classifier; not replicated.
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
    room = _microbatches_per_call(replicas)
    batches = [ids[start : start + room * size] for start in range(0, len(ids), room * size)]

    def work_of(call):
        plan = make_plan(replicas.plan.scheme, profile, len(batches[call]), size)
        return deal(batches[call], plan, room)

    classes, losses = [], []
    with Feed(replicas, work_of, len(batches)) as feed:
        for call, batch in enumerate(batches):
            outputs = fetch(step(state, *feed.take(call)))
            classes.append(outputs[0].ravel()[: len(batch)])
            losses.append(outputs[1].ravel()[: len(batch)])
            on_progress(len(batch))
    return np.concatenate(classes), np.concatenate(losses)


def _microbatches_per_call(replicas: Replicas) -> int:
    size = replicas.plan.microbatch_size
    samples = SAMPLES_PER_CALL
    if replicas.is_streamed:
        samples = min(samples, STREAMED_BYTES_PER_CALL // replicas.samples.sample_bytes)
    return max(1, -(-samples // size))
