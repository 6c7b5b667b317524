"""How parameters are learnt, whatever the devices: batches, optimiser and schedule."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hsi_jax.data.balanced_sampler import BalancedSampler
from hsi_jax.data.sampler import batch_ids, steps_for_epochs
from hsi_jax.errors import InputError
from hsi_jax.train.tables import LOSSES, OPTIMIZERS, SAMPLINGS, SCHEDULES

if TYPE_CHECKING:  # the defaults are told without waiting for Optax and JAX
    import optax

MAX_VALIDATIONS = 100  # however short the epochs are


@dataclass(frozen=True)
class Recipe:
    """How parameters are learnt from a dataset, whatever the devices.

    Attributes:
        batch_size: samples of a step, over all devices.
        microbatch_size: samples of a microbatch.
        epochs: passes over the training samples.
        steps: steps, instead of epochs; or None.
        optimizer: of `hsi_jax.train.OPTIMIZERS`.
        learning_rate: the highest.
        schedule: of `hsi_jax.train.SCHEDULES`.
        momentum: of sgd.
        weight_decay: of kernels.
        loss: of `hsi_jax.train.LOSSES`.
        seed: of parameters, batches and dropout.
        sampling: of `hsi_jax.train.SAMPLINGS`: "shuffled" draws every sample once an epoch,
            "balanced" every class equally often (see `hsi_jax.data.BalancedSampler`).

    Raises:
        InputError: for an unknown name, or if both it and the loss make up for rare classes.
    """

    batch_size: int = 128
    microbatch_size: int = 16
    epochs: int = 40
    steps: int | None = None
    optimizer: str = "adam"
    learning_rate: float = 0.001
    schedule: str = "cosine"
    momentum: float = 0.9
    weight_decay: float = 0.0
    loss: str = "cross_entropy"
    seed: int = 0
    sampling: str = "shuffled"

    def __post_init__(self):
        LOSSES.check(self.loss)
        OPTIMIZERS.check(self.optimizer)
        SCHEDULES.check(self.schedule)
        if self.sampling not in SAMPLINGS:
            raise InputError(f"`sampling`={self.sampling}: choose one of {', '.join(SAMPLINGS)}")
        if self.sampling == "balanced" and self.loss == "weighted":
            raise InputError(
                "`sampling`=balanced and `loss`=weighted both make rare classes count more; give "
                "one of them"
            )

    def num_steps(self, samples: int) -> int:
        """Steps of the training on so many samples."""
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
        """The optimiser for so many steps."""
        from hsi_jax.train.optimizer import make_optimizer

        schedule = self.make_schedule(num_steps)
        return make_optimizer(self.optimizer, schedule, self.momentum, self.weight_decay)

    def steps_between_validations(self, samples: int) -> int:
        """An epoch of so many samples, or more where there would be too many validations."""
        epoch = -(-samples // self.batch_size)
        return max(epoch, self.num_steps(samples) // MAX_VALIDATIONS)
