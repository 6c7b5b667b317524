"""The steps of training and prediction, as each device runs them under `jax.pmap`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from hsi_jax.hetero import Work
from hsi_jax.hetero.exact import accumulate, exact_sum, from_wire, is_whole, to_wire
from hsi_jax.train.digest import digest
from hsi_jax.train.samples import SampleSource
from hsi_jax.train.state import TrainState

AXIS = "replica"

NO_MICROBATCH = 2**32 - 1  # a number that no microbatch of a step has


def train_step(
    state: TrainState, samples: SampleSource, work: Work
) -> tuple[TrainState, jax.Array]:
    """Runs the device's own microbatches, sums over all devices exactly, and updates once.

    Everything that depends on the number of a microbatch depends on its number j in the batch and
    not on the device that has it; so, with equal sample weights, every split gives the same bits.

    Args:
        state: the same on every device.
        samples: the same on every device, or each one's own (`Rows`).
        work: the device's share of the batch.

    Returns:
        The next state (see `update_if_finite`) and the loss of the batch, float32, each the same on
        every device.
    """
    term = contribution(state, samples, work)
    loss, grads, stats = exact_sum(term, work.count, max_terms=len(work.ids), axis_name=AXIS)
    return update_if_finite(state, loss, grads, stats), loss


def update_if_finite(state: TrainState, loss: jax.Array, grads: Any, stats: Any) -> TrainState:
    """The next state; where the batch's sums are not finite, the same state, one step on.

    So what a batch spoils can be looked into afterwards, or skipped. Both have the digest of the
    batch's sums.
    """
    state = state.replace(digest=digest((loss, grads, stats)))
    new = state.update(grads, stats)
    old = state.replace(step=new.step)
    # `exact_sum` gives NaN throughout if any of its terms was not sound, so the loss tells of all.
    return jax.tree.map(partial(jnp.where, jnp.isfinite(loss)), new, old)


def local_step(
    state: TrainState, samples: SampleSource, work: Work, *, devices: int | None = None
) -> tuple[jax.Array, Any]:
    """The part of `train_step` before communication, apart so that it can be timed.

    Args:
        state: as for `train_step`.
        samples: as for `train_step`.
        work: as for `train_step`.
        devices: whose sums will be added; None for those over which this is mapped.

    Returns:
        The device's own sums: as they are sent, int32 [w] (see `to_wire`), and whole, for where
        that does not do: a tree of int32 [..., 2].
    """
    term = contribution(state, samples, work)
    sums = accumulate(term, work.count, max_terms=len(work.ids))
    number = lax.axis_size(AXIS) if devices is None else devices
    return to_wire(sums, number), split_halves(sums)


def sum_step(wire: jax.Array, halves: Any, seconds: jax.Array) -> tuple[jax.Array, Any, jax.Array]:
    """The sum of `train_step`; tells every device how long each one's `local_step` took.

    Args:
        wire: what `local_step` returned.
        halves: what `local_step` returned.
        seconds: the device's measured time, float32 [].

    Returns:
        The sums of all devices of the first and of the second, which counts where `is_whole` is
        not; and the times of all devices, float32 [devices].
    """
    total, sums = lax.psum(wire, AXIS), join_halves(halves)
    with jax.enable_x64(True):
        whole = lax.cond(is_whole(total), lambda: sums, lambda: lax.psum(sums, AXIS))
    return total, split_halves(whole), lax.all_gather(seconds, AXIS)


def update_step(state: TrainState, total: jax.Array, halves: Any) -> tuple[TrainState, jax.Array]:
    """The rest of `train_step`, in one program from the fixed-point sums on: its bits need that.

    Args:
        state: as for `local_step`.
        total: the sum of the first of what `local_step` gave, int32 [w].
        halves: that of the second, a tree of int32 [..., 2]; it counts where `is_whole` is not.

    Returns:
        The next state and the loss.
    """
    sums = join_halves(halves)
    loss, grads, stats = from_wire(total, sums, lambda: sums)
    return update_if_finite(state, loss, grads, stats), loss


def split_halves(sums: Any) -> Any:
    """Fixed-point sums as a tree of int32 [..., 2].

    So they pass between programs, as int64 does not while JAX's x64 is off.
    """
    with jax.enable_x64(True):
        return jax.tree.map(lambda leaf: lax.bitcast_convert_type(leaf, jnp.int32), sums)


def join_halves(halves: Any) -> Any:
    """The fixed-point sums that `local_step` has returned, int64 again."""
    with jax.enable_x64(True):
        return jax.tree.map(lambda leaf: lax.bitcast_convert_type(leaf, jnp.int64), halves)


def contribution(state: TrainState, samples: SampleSource, work: Work) -> Callable:
    """What a microbatch adds to the batch, as a function of its place among the device's own.

    Returns:
        A function from an index, int32 [], to the weighted loss, its gradient, and the running
        statistics by the microbatch's part of the batch.
    """
    step_key = jax.random.fold_in(jax.random.key(state.seed), state.step)
    samples_key = jax.random.fold_in(step_key, NO_MICROBATCH)

    def term(index):
        ids, mask = work.ids[index], work.mask[index]
        batch = samples.take(ids, index)
        key = jax.random.fold_in(step_key, work.first + index)
        sample_keys = jax.vmap(jax.random.fold_in, (None, 0))(samples_key, ids)

        def weighted_loss(trained):
            params = state.with_frozen(trained)
            losses, stats = state.task.losses(
                params, state.batch_stats, batch, mask=mask, key=key, sample_keys=sample_keys
            )
            return work.sample_weight * jnp.sum(mask * losses), stats

        (loss, stats), grads = jax.value_and_grad(weighted_loss, has_aux=True)(state.trained)
        part = work.sample_fraction * jnp.sum(mask)
        return loss, grads, jax.tree.map(lambda stat: part * stat, stats)

    return term


def predict_step(
    state: TrainState, samples: SampleSource, work: Work
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Predicts the device's own microbatches and gathers those of all devices.

    Returns:
        Class indexes, int32 [U, m], losses and probabilities of these classes, float32 [U, m], of
        the whole batch in its order, the same on every device. Padding, and the loss of an
        unlabelled pixel, mean nothing.
    """

    def predict(index):
        inputs, labels = samples.take(work.ids[index], index)
        logits = state.task.logits(state.params, state.batch_stats, inputs)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))
        classes = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        confidences = jnp.exp(-optax.softmax_cross_entropy_with_integer_labels(logits, classes))
        return classes, losses, confidences

    return gather_microbatches(predict, work)


def probability_step(state: TrainState, samples: SampleSource, work: Work) -> jax.Array:
    """The class probabilities of the device's own microbatches, gathered from all devices.

    Returns:
        float32 [U, m, C] of the whole batch in its order, the same on every device; of padding
        they mean nothing.
    """

    def predict(index):
        inputs, _ = samples.take(work.ids[index], index)
        return jax.nn.softmax(state.task.logits(state.params, state.batch_stats, inputs))

    return gather_microbatches(predict, work)


def logits_step(state: TrainState, samples: SampleSource, work: Work) -> jax.Array:
    """The logits of the device's own microbatches, gathered from all devices.

    Returns:
        float32 [U, m, ..., C] of the whole batch in its order; of padding they mean nothing.
    """

    def predict(index):
        inputs, _ = samples.take(work.ids[index], index)
        return state.task.logits(state.params, state.batch_stats, inputs)

    return gather_microbatches(predict, work)


def gather_microbatches(predict: Callable[[jax.Array], Any], work: Work) -> Any:
    """predict(index) of every microbatch of all devices, each array [U, m, ...]."""

    def put(index, outputs):
        at = work.first + index
        return jax.tree.map(lambda all, own: all.at[at].set(own), outputs, predict(index))

    shapes = jax.eval_shape(predict, jax.ShapeDtypeStruct((), jnp.int32))
    rows = work.ids.shape[0]
    start = jax.tree.map(lambda leaf: jnp.zeros((rows, *leaf.shape), leaf.dtype), shapes)
    outputs = lax.fori_loop(0, work.count, put, start)
    # Each entry is computed on one device and 0 on the others, so this sum only gathers.
    return lax.psum(outputs, AXIS)
