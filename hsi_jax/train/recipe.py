"""How parameters are learnt, whatever the devices: batches, optimiser and schedule."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hsi_jax.data.sampler import steps_for_epochs

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

    def num_steps(self, samples: int) -> int:
        """Steps of the training on so many samples."""
        return self.steps or steps_for_epochs(samples, self.batch_size, self.epochs)

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
