"""What training changes from step to step."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.training import train_state


class TrainState(train_state.TrainState):
    """Flax's train state (step, params, opt_state, apply_fn, tx) with statistics and the seed.

    Attributes:
        batch_stats: running statistics of the normalisation layers; an empty dict without any.
        seed: the key of dropout in microbatch j of step t is a function of (seed, t, j), uint32.
    """

    batch_stats: Any
    seed: jax.Array


def create_state(
    module: nn.Module,
    optimizer: optax.GradientTransformation,
    patch_shape: tuple[int, int, int],
    seed: int,
) -> TrainState:
    """Initialises parameters; they depend on the module, the patch's shape and the seed alone.

    Args:
        module: maps [batch, p, p, bands] to logits; called with `train` and `mask`.
        optimizer: any Optax optimiser.
        patch_shape: (p, p, bands).
        seed: 0 <= seed < 2**32.
    """
    variables = jax.jit(module.init)(jax.random.key(seed), jnp.zeros((1, *patch_shape)))
    return TrainState.create(
        apply_fn=module.apply,
        params=variables["params"],
        tx=optimizer,
        batch_stats=variables.get("batch_stats", {}),
        seed=jnp.uint32(seed),
    )
