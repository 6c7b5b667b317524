"""Which quantity spoiled a step: looked into only after the step has failed."""

import jax
import numpy as np

from hsi_jax.hetero import deal, make_plan, parse_profile
from hsi_jax.hetero.exact import term_limit
from hsi_jax.train.replicas import Replicas, fetch
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import contribution

# In the order in which one follows from another.
_NAMES = ("the loss", "the gradient of params", "the running statistic batch_stats")


def find_offender(replicas: Replicas, state: TrainState, ids: np.ndarray) -> str:
    """Names the first quantity of a batch that is not finite, or beyond what exact sums hold.

    This process computes the whole batch again, by itself, so a kernel may round otherwise than in
    the step itself; where that hides the offender, the answer says so.

    Args:
        replicas: the devices, whose plan's microbatch size counts.
        state: from before the step, not replicated.
        ids: sample ids of the batch, int32 [B].
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.params):
        if not np.isfinite(leaf).all():
            return f"params/{_name(path)} is not finite before the step"
    size = replicas.plan.microbatch_size
    whole = deal(ids, make_plan("balanced", parse_profile("1"), len(ids), size))
    work = jax.tree.map(lambda array: array[0], whole)
    limit = term_limit(len(work.ids))
    terms = jax.jit(lambda state, samples, work, index: contribution(state, samples, work)(index))
    if replicas.is_streamed:
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
