"""Optimisers and learning-rate schedules by name, all from Optax."""

import jax
import optax

from hsi_jax.errors import InputError
from hsi_jax.train.names import OPTIMIZERS, SCHEDULES


def make_schedule(name: str, learning_rate: float, num_steps: int) -> optax.Schedule:
    """The learning rate as a function of the step, from `learning_rate` down to 0 but for constant.

    `warmup_cosine` rises from 0 over the first twentieth of the steps.

    Raises:
        InputError: for an unknown name, or a rate that is not above 0.
    """
    if not learning_rate > 0:
        raise InputError(f"`learning_rate`={learning_rate}: give a number above 0")
    if name == "constant":
        return optax.constant_schedule(learning_rate)
    if name == "cosine":
        return optax.cosine_decay_schedule(learning_rate, num_steps)
    if name == "warmup_cosine":
        warmup = num_steps // 20
        return optax.warmup_cosine_decay_schedule(0.0, learning_rate, warmup, num_steps)
    if name == "linear":
        return optax.linear_schedule(learning_rate, 0.0, num_steps)
    raise InputError(f"`schedule`={name} is unknown; choose one of {', '.join(SCHEDULES)}")


def make_optimizer(
    name: str, schedule: optax.Schedule, momentum: float = 0.9, weight_decay: float = 0.0
) -> optax.GradientTransformation:
    """An optimiser; weight decay acts on kernels only, not on biases and normalisation.

    Args:
        name: `sgd` (with momentum), `adam` (both with decay added to the gradient) or `adamw`
            (decoupled decay: Loshchilov and Hutter, 2019).
        schedule: the learning rate by step.
        momentum: of sgd; the others ignore it.
        weight_decay: >= 0.

    Raises:
        InputError: for an unknown name.
    """
    decay = optax.add_decayed_weights(weight_decay, mask=_kernels)
    if name == "sgd":
        return optax.chain(decay, optax.sgd(schedule, momentum=momentum))
    if name == "adam":
        return optax.chain(decay, optax.adam(schedule))
    if name == "adamw":
        return optax.adamw(schedule, weight_decay=weight_decay, mask=_kernels)
    raise InputError(f"`optimizer`={name} is unknown; choose one of {', '.join(OPTIMIZERS)}")


def _kernels(params):
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
