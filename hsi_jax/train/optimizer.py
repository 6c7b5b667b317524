"""Optimisers and learning-rate schedules, all from Optax; `hsi_jax.train.tables` names them.

A schedule is made of the highest learning rate and the number of steps. An optimiser is made of a
schedule, the momentum of sgd and a weight decay >= 0, which acts on kernels only, not on biases and
normalisation. Yours may take the last two as `**rest`.
"""

from collections.abc import Callable
from typing import Any

import jax
import optax

from hsi_jax.errors import InputError
from hsi_jax.train.tables import OPTIMIZERS, SCHEDULES


def make_schedule(name: str | Callable, learning_rate: float, num_steps: int) -> optax.Schedule:
    """The learning rate as a function of the step.

    Args:
        name: of `SCHEDULES`, package.module:name, or a function of the next two arguments.
        learning_rate: the highest.
        num_steps: of the training.

    Raises:
        InputError: for an unknown name, or a rate that is not above 0.
    """
    if not learning_rate > 0:
        raise InputError(f"`learning_rate`={learning_rate}: give a number above 0")
    return SCHEDULES.find(name)(learning_rate, num_steps)


def make_optimizer(
    name: str | Callable, schedule: optax.Schedule, momentum: float = 0.9, weight_decay: float = 0.0
) -> optax.GradientTransformation:
    """An optimiser.

    Args:
        name: of `OPTIMIZERS`, package.module:name, or a function of the other arguments.
        schedule: the learning rate by step.
        momentum: of sgd; the others ignore it.
        weight_decay: >= 0.

    Raises:
        InputError: for an unknown name, or one that leads to no transformation of Optax.
    """
    made: Any = OPTIMIZERS.find(name)(schedule, momentum=momentum, weight_decay=weight_decay)
    if not isinstance(made, optax.GradientTransformation):
        raise InputError(
            f"`optimizer`={name} makes a {type(made).__name__}; it must make an "
            f"optax.GradientTransformation"
        )
    return made


def constant(learning_rate: float, num_steps: int) -> optax.Schedule:
    """The same rate in every step."""
    return optax.constant_schedule(learning_rate)


def cosine(learning_rate: float, num_steps: int) -> optax.Schedule:
    """Half a cosine, down to 0."""
    return optax.cosine_decay_schedule(learning_rate, num_steps)


def warmup_cosine(learning_rate: float, num_steps: int) -> optax.Schedule:
    """A rise from 0 over the first twentieth of the steps, then half a cosine down to 0."""
    return optax.warmup_cosine_decay_schedule(0.0, learning_rate, num_steps // 20, num_steps)


def linear(learning_rate: float, num_steps: int) -> optax.Schedule:
    """A straight line down to 0."""
    return optax.linear_schedule(learning_rate, 0.0, num_steps)


def sgd(
    schedule: optax.Schedule, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """Stochastic gradient descent with momentum; decay is added to the gradient."""
    return optax.chain(_decay(weight_decay), optax.sgd(schedule, momentum=momentum))


def adam(
    schedule: optax.Schedule, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """Adam; decay is added to the gradient."""
    return optax.chain(_decay(weight_decay), optax.adam(schedule))


def adamw(
    schedule: optax.Schedule, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """Adam with decoupled decay: Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101."""
    return optax.adamw(schedule, weight_decay=weight_decay, mask=_kernels)


def _decay(weight_decay: float) -> optax.GradientTransformation:
    return optax.add_decayed_weights(weight_decay, mask=_kernels)


def _kernels(params):
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
