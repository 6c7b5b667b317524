"""Prediction and evaluation of any set of samples, shared out over the devices like training."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsi_jax.cluster.exchange import lost_devices
from hsi_jax.errors import DivergenceError
from hsi_jax.evaluate.measures.metrics import Scores, confusion_matrix, scores
from hsi_jax.hetero import Plan, Profile, deal, make_plan
from hsi_jax.hetero.redeal import profile_without
from hsi_jax.train.feed import Feed
from hsi_jax.train.input_check import CHECK_DATA, find_input
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.salvage import gather_outputs
from hsi_jax.train.samples import Stream
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import predict_step, probability_step

SAMPLES_PER_CALL = 4096
STREAMED_BYTES_PER_CALL = 2**26

OnProgress = Callable[[int], object]


def _ignore(samples: int) -> None:
    """The default of `on_progress`."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """How well a state does on some samples.

    Attributes:
        classes: predicted class indexes, int32 [n].
        confusion: counts, int64 [C, C]; rows are the truth.
        loss: mean cross-entropy over the samples.
        confidences: probability of each predicted class, float32 [n].
    """

    classes: np.ndarray
    confusion: np.ndarray
    loss: float
    confidences: np.ndarray

    @property
    def scores(self) -> Scores:
        """OA, AA, kappa and the accuracy of each class."""
        return scores(self.confusion)

    @property
    def rank(self) -> tuple[float, float]:
        """The higher, the better: by OA, and by the loss among equals."""
        return self.scores.overall_accuracy, -self.loss


def predict(
    replicas: Replicas,
    state: TrainState,
    ids: np.ndarray,
    *,
    profile: Profile,
    plan: Plan,
    on_progress: OnProgress = _ignore,
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts each sample exactly once; the result does not depend on the profile.

    Args:
        replicas: the devices and the samples.
        state: of a classifier; not replicated.
        ids: sample ids, int32 [n], n >= 1.
        profile: speeds of the devices, by which the work is divided.
        plan: whose scheme and microbatch size are followed.
        on_progress: told the number of samples after each call of the devices.

    Returns:
        Class indexes, int32 [n], and cross-entropy losses, float32 [n] (without meaning where a
        pixel is unlabelled).

    Raises:
        InputError: if the state is not of a classifier.
    """
    classes, losses, _ = map_samples(
        predict_step, replicas, state, ids, profile=profile, plan=plan, on_progress=on_progress
    )
    return classes, losses


def predict_probabilities(
    replicas: Replicas,
    state: TrainState,
    ids: np.ndarray,
    *,
    profile: Profile,
    plan: Plan,
    on_progress: OnProgress = _ignore,
) -> np.ndarray:
    """The probability of each class for each sample, float32 [n, C]; arguments as of `predict`."""
    (probabilities,) = map_samples(
        probability_step, replicas, state, ids, profile=profile, plan=plan, on_progress=on_progress
    )
    return probabilities


def evaluate(
    replicas: Replicas,
    state: TrainState,
    ids: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    profile: Profile,
    plan: Plan,
) -> Assessment:
    """Predicts labelled samples and compares them with the truth.

    Args:
        replicas: as for `predict`.
        state: as for `predict`.
        ids: as for `predict`.
        labels: class index of every sample that there is, int32 [all samples].
        num_classes: C.
        profile: as for `predict`.
        plan: as for `predict`.

    Raises:
        DivergenceError: if the mean loss is not finite, as after an update that went astray.
    """
    classes, losses, confidences = map_samples(
        predict_step, replicas, state, ids, profile=profile, plan=plan
    )
    loss = float(np.mean(losses, dtype=np.float64))
    if not math.isfinite(loss):
        odd_input = find_input(replicas, ids)
        cause = "training has diverged; lower `learning_rate`"
        if odd_input:
            cause = f"{odd_input}; {CHECK_DATA}"
        raise DivergenceError(f"the loss over {len(ids)} samples is {loss}: {cause}")
    confusion = confusion_matrix(labels[ids], classes, num_classes)
    return Assessment(classes, confusion, loss, confidences)


def map_samples(
    step: Callable, replicas, state, ids, *, profile, plan, on_progress=_ignore
) -> list[np.ndarray]:
    """What a step of `hsi_jax.train.step` gives for all samples, each array [n, ...]."""
    call = replicas.parallel(step)
    live = replicas.replicate(state)
    profile = profile_without(profile.uncapped, lost_devices())  # no share is held at once
    size = plan.microbatch_size
    room = _microbatches_per_call(replicas, size)
    batches = [ids[start : start + room * size] for start in range(0, len(ids), room * size)]

    def work_of(number):
        return deal(
            batches[number], make_plan(plan.scheme, profile, len(batches[number]), size), room
        )

    outputs: list[Any] = []
    with Feed(replicas, work_of, len(batches)) as feed:
        for number, batch in enumerate(batches):
            arrays = gather_outputs(replicas, call, live, feed.take(number))
            arrays = arrays if isinstance(arrays, tuple) else (arrays,)
            outputs.append([a.reshape(-1, *a.shape[2:])[: len(batch)] for a in arrays])
            on_progress(len(batch))
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def _microbatches_per_call(replicas: Replicas, microbatch_size: int) -> int:
    samples = SAMPLES_PER_CALL
    if isinstance(replicas.samples, Stream):
        samples = min(samples, STREAMED_BYTES_PER_CALL // replicas.samples.sample_bytes)
    return max(1, -(-samples // microbatch_size))
