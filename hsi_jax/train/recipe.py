"""How parameters are learnt, whatever the devices: batches, optimiser and schedule."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hsi_jax.data.balanced_sampler import BalancedSampler
from hsi_jax.data.sampler import batch_ids, steps_for_epochs
from hsi_jax.errors import InputError
from hsi_jax.options import check_options, option
from hsi_jax.train.tables import LOSSES, OPTIMIZERS, SAMPLINGS, SCHEDULES

if TYPE_CHECKING:  # the defaults are told without waiting for Optax and JAX
    import optax

MEASURED_SIZES = (4, 8, 16, 32, 64)  # microbatches of `microbatch_size`="auto"
MAX_VALIDATIONS = 100  # however short the epochs are


@dataclass(frozen=True)
class Recipe:
    """How parameters are learnt from a dataset, whatever the devices.

    `loss`, `optimizer`, `schedule` and `sampling` are names of `hsi_jax.train.LOSSES` and so on.

    Raises:
        InputError: on a value that cannot be used, or if both the sampling and the loss make up for
            rare classes.
    """

    batch_size: int = option(
        128,
        "samples per step, over all devices",
        at_least=1,
    )
    microbatch_size: int | str = option(
        16,
        "samples of a microbatch, the atom of work; or auto: the fastest as measured",
        kind=int,
        at_least=1,
        word="auto",
    )
    epochs: int = option(
        40,
        "passes over the training pixels",
        at_least=1,
    )
    steps: int | None = option(
        None,
        "steps, instead of `epochs`",
        kind=int,
        at_least=1,
    )
    optimizer: str = option(
        "adam",
        "optimiser",
        choices=OPTIMIZERS,
    )
    learning_rate: float = option(
        0.001,
        "highest learning rate",
        above=0,
    )
    schedule: str = option(
        "cosine",
        "course of the learning rate",
        choices=SCHEDULES,
    )
    momentum: float = option(
        0.9,
        "momentum of sgd",
        at_least=0,
        below=1,
    )
    weight_decay: float = option(
        0.0,
        "weight decay, of kernels only",
        at_least=0,
    )
    clip_norm: float = option(
        0.0,
        "longest gradient, over all parameters; longer ones are shortened; 0 for any length",
        at_least=0,
    )
    loss: str = option(
        "cross_entropy",
        "loss of a sample; weighted: all classes count alike; focal: hard samples count more",
        choices=LOSSES,
    )
    sampling: str = option(
        "shuffled",
        "shuffled: every sample once an epoch; balanced: every class equally often",
        choices=SAMPLINGS,
    )
    patience: int = option(
        0,
        "validations in a row without a better state after which training stops early; 0 for never",
        at_least=0,
    )
    seed: int = option(
        0,
        "of split, parameters, batches and dropout",
        at_least=0,
        below=2**32,
    )

    def __post_init__(self):
        check_options(self)
        if self.sampling == "balanced" and self.loss == "weighted":
            raise InputError(
                "`sampling`=balanced and `loss`=weighted both make rare classes count more; give "
                "one of them"
            )

    @property
    def microbatch_sizes(self) -> list[int]:
        """The sizes that may be chosen: the one asked for, or several to be measured."""
        if self.microbatch_size != "auto":
            return [int(self.microbatch_size)]
        return [size for size in MEASURED_SIZES if size <= self.batch_size] or [self.batch_size]

    def with_microbatch_size(self, size: int) -> "Recipe":
        """The recipe with this size of a microbatch."""
        return replace(self, microbatch_size=size)

    def num_steps(self, samples: int) -> int:
        """Steps of the training on this many samples."""
        return self.steps or steps_for_epochs(samples, self.batch_size, self.epochs)

    def batches(self, train_ids: np.ndarray, labels: np.ndarray) -> Callable[[int], np.ndarray]:
        """The samples of each step, int32 [batch_size], as a function of its number.

        Args:
            train_ids: ids of the training samples, int32 [n].
            labels: class index of every sample that there is, int32 [all samples].
        """
        if self.sampling == "balanced":
            return partial(BalancedSampler(train_ids, labels, self.seed).batch_ids, self.batch_size)
        return partial(batch_ids, train_ids, self.batch_size, self.seed)

    def make_schedule(self, num_steps: int) -> "optax.Schedule":
        """The learning rate as a function of the step."""
        from hsi_jax.train.optimizer import make_schedule

        return make_schedule(self.schedule, self.learning_rate, num_steps)

    def make_optimizer(self, num_steps: int) -> "optax.GradientTransformation":
        """The optimiser for this many steps."""
        import optax

        from hsi_jax.train.optimizer import make_optimizer

        schedule = self.make_schedule(num_steps)
        made = make_optimizer(self.optimizer, schedule, self.momentum, self.weight_decay)
        if not self.clip_norm:
            return made
        return optax.chain(optax.clip_by_global_norm(self.clip_norm), made)

    def steps_between_validations(self, samples: int) -> int:
        """An epoch of this many samples, or more where there would be too many validations."""
        epoch = -(-samples // self.batch_size)
        return max(epoch, self.num_steps(samples) // MAX_VALIDATIONS)
