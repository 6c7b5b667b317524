"""Steps that are not finite: which quantity is the cause, and what to do with such a step."""

import logging
import math
from collections.abc import Sequence

import jax
import numpy as np

from hsi_jax.errors import DivergenceError
from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.hetero.exact import term_limit
from hsi_jax.train.input_check import CHECK_DATA, find_input
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.samples import Stream
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import contribution

# In the order in which one follows from another.
_NAMES = ("the loss", "the gradient of params", "the running statistic batch_stats")


MAX_SKIPPED = 10  # in a row; whatever is wrong then is not the batch


def judge_step(
    replicas: Replicas,
    before: TrainState,
    ids: np.ndarray,
    *,
    microbatch_size: int,
    losses: Sequence[float],
    skip: bool,
) -> None:
    """Ends a training that has diverged, or warns that a batch is left out.

    An input is blamed first, and the learning rate only where an earlier step was finite.

    Args:
        replicas: the devices.
        before: the state from before the step, not replicated.
        ids: sample ids of the batch, int32 [B].
        microbatch_size: m.
        losses: of all steps, the last of which is not finite.
        skip: whether such a batch is left out instead.

    Raises:
        DivergenceError: naming the step and what is not finite; if batches are left out, after
            `MAX_SKIPPED` such steps in a row.
    """
    step = len(losses) - 1
    odd_input = find_input(replicas, ids)
    cause = odd_input or find_cause(replicas, before, ids, microbatch_size)
    if odd_input:
        advice = CHECK_DATA
    elif any(map(math.isfinite, losses)):
        advice = "training has diverged; lower `learning_rate`"
    else:
        advice = "no step was finite, so it is not the learning rate: check the model and the data"
    if not skip:
        raise DivergenceError(
            f"the loss of step {step} is nan, because {cause}: {advice}, or leave such a batch out "
            f"with `on_nonfinite`=skip"
        )
    if len(losses) >= MAX_SKIPPED and not any(map(math.isfinite, losses[-MAX_SKIPPED:])):
        raise DivergenceError(
            f"{MAX_SKIPPED} steps in a row were not finite, the last one, {step}, because {cause}: "
            f"{advice}"
        )
    logging.getLogger(__name__).warning("Step %d is left out, because %s.", step, cause)


def find_cause(replicas: Replicas, state: TrainState, ids: np.ndarray, microbatch_size: int) -> str:
    """Names the first quantity of a batch that is not finite, or beyond what exact sums hold.

    This process computes the whole batch again, by itself, so a kernel may round otherwise than in
    the step itself; where that hides the cause, the answer says so.

    Args:
        replicas: the devices.
        state: from before the step, not replicated.
        ids: sample ids of the batch, int32 [B].
        microbatch_size: m.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        if not np.isfinite(leaf).all():
            return f"params/{_name(path)} is not finite before the step"
    whole = deal(ids, make_plan("balanced", parse_profile("1"), len(ids), microbatch_size))
    work = jax.tree.map(lambda array: array[0], whole)
    limit = term_limit(len(work.ids))
    terms = jax.jit(lambda state, samples, work, index: contribution(state, samples, work)(index))
    if isinstance(replicas.samples, Stream):
        samples = replicas.samples.rows(work.ids, len(work.ids))
    else:
        samples = fetch(replicas.samples)
    for index in range(len(work.ids)):
        for name, tree in zip(_NAMES, terms(state, samples, work, index), strict=True):
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                values = np.asarray(leaf)
                unsound = values[~(np.abs(values) <= limit)]
                if unsound.size:
                    where = f"{name}/{_name(path)}" if path else name
                    return f"{where} in microbatch {index} is {_describe(unsound[0], limit)}"
    return "no quantity of it is, when computed again alone"


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _describe(value: np.floating, limit: float) -> str:
    return f"{value:g}, beyond the {limit:g} of exact sums" if np.isfinite(value) else f"{value:g}"
