"""What training changes from step to step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct

from hsi_jax.train.task import Classification, SampleLoss


class TrainState(struct.PyTreeNode):
    """Parameters and all that goes with them.

    Attributes:
        step: updates so far, int32 [].
        params: tree of float32 arrays.
        batch_stats: running statistics of the normalisation layers; an empty dict without any.
        opt_state: of the optimiser.
        seed: the keys of step t are functions of (seed, t), uint32 [].
        optimizer: any of Optax.
        task: `Classification` or `SampleLoss`.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState
    seed: jax.Array
    optimizer: optax.GradientTransformation = struct.field(pytree_node=False)
    task: Classification | SampleLoss = struct.field(pytree_node=False)

    def update(self, grads: Any, batch_stats: Any) -> "TrainState":
        """The state after one update of the optimiser."""
        updates, opt_state = self.optimizer.update(grads, self.opt_state, self.params)
        params = optax.apply_updates(self.params, updates)
        return self.replace(
            step=self.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state
        )


def create_state(
    module: nn.Module,
    optimizer: optax.GradientTransformation,
    input_shape: tuple[int, ...],
    seed: int,
    prepare: Callable | None = None,
) -> TrainState:
    """The first state of a classifier; it depends on the module, the shape and the seed alone.

    Args:
        module: maps [batch, *input_shape] to logits; called with `train` and `mask`.
        optimizer: any Optax optimiser.
        input_shape: of one input, such as (p, p, bands).
        seed: 0 <= seed < 2**32.
        prepare: see `Classification`.
    """
    variables = jax.jit(module.init)(jax.random.key(seed), jnp.zeros((1, *input_shape)))
    statistics = variables.get("batch_stats", {})
    task = Classification(module, prepare)
    return _first_state(variables["params"], statistics, optimizer, seed, task)


def create_loss_state(
    loss: Callable[[Any, Any, jax.Array], jax.Array],
    params: Any,
    optimizer: optax.GradientTransformation,
    seed: int,
) -> TrainState:
    """The first state of one's own loss and parameters; see `SampleLoss`.

    Args:
        loss: maps parameters, a batch [m, ...] and a key to losses [m].
        params: tree of float32 arrays.
        optimizer: any Optax optimiser.
        seed: 0 <= seed < 2**32.
    """
    return _first_state(params, {}, optimizer, seed, SampleLoss(loss))


def _first_state(params, batch_stats, optimizer, seed, task) -> TrainState:
    return TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        seed=jnp.uint32(seed),
        optimizer=optimizer,
        task=task,
    )
