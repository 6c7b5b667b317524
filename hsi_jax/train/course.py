"""What a training goes through, whatever the devices and whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hsi_jax.data.sampler import batch_ids
from hsi_jax.train.state import TrainState


@dataclass(frozen=True)
class Course:
    """What a training goes through, whatever the devices and whoever watches it.

    Attributes:
        batches: the sample ids of each step, int32 [batch size], a function of the step alone; see
            `Recipe.batches` and `Course.shuffled`.
        num_steps: >= 1.
        validate: ranks a state (not replicated) by samples kept for choosing, not those of the
            test; the first of the highest rank is the best. It gets the number of steps taken.
        validate_every: steps between validations. The last step is always validated, and so is
            the one after which Ctrl-C, but not SIGTERM, ended the training.
        save_every: steps between calls of `Hook.on_save`; 0 for the end alone.
        check_every: steps between comparisons of the parameters of all devices, where there are
            several processes; 0 for none but those before each save.
        patience: validations in a row without a better state after which the training ends early;
            0 for never.
        skip_nonfinite: leaves out a batch whose loss or gradient is not finite, instead of raising
            an error; the optimiser and its schedule do not see it.
    """

    batches: Callable[[int], np.ndarray]
    num_steps: int
    validate: Callable[[TrainState, int], tuple] | None = None
    validate_every: int = 1
    save_every: int = 0
    check_every: int = 100
    patience: int = 0
    skip_nonfinite: bool = False

    @classmethod
    def shuffled(
        cls,
        train_ids: np.ndarray,
        batch_size: int,
        num_steps: int,
        *,
        seed: int = 0,
        **options: Any,
    ) -> "Course":
        """A course in which every sample comes once an epoch.

        Args:
            train_ids: sample ids to learn from, int32 [n].
            batch_size: samples of a step.
            num_steps: >= 1.
            seed: batch t is a function of (seed, t).
            options: of `Course`.
        """
        return cls(partial(batch_ids, train_ids, batch_size, seed), num_steps, **options)

    def validates(self, done: int) -> bool:
        """Whether the state after this many steps is to be validated."""
        regular = self.validate is not None and done % self.validate_every == 0
        return regular or done == self.num_steps

    def saves(self, done: int) -> bool:
        """Whether the state after this many steps is to be saved."""
        regular = bool(self.save_every) and done % self.save_every == 0
        return regular or done == self.num_steps

    def gives_up(self, done: int, best_step: int) -> bool:
        """Whether the training ends early after this many steps."""
        waited = done - best_step
        return bool(self.patience) and waited >= self.patience * self.validate_every

    def checks(self, done: int) -> bool:
        """Whether the devices are compared after this many steps."""
        return bool(self.check_every) and done % self.check_every == 0
