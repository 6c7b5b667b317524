"""What summary.json holds of a run as published; see `hsi_jax.run.summary`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ChosenState:
    """A state of the training, after so many steps, and its scores on the test samples."""

    step: int
    overall_accuracy: float
    average_accuracy: float
    kappa: float


@dataclass(frozen=True, kw_only=True)
class AsPublished:
    """What a run did as many papers do, in which test samples have a say.

    Attributes:
        deviations: from what is done otherwise, in words.
        by_validation: the state of the same training that validation samples choose (or the last
            one where there are none); None where no epoch was to be chosen.
    """

    deviations: tuple[str, ...]
    by_validation: ChosenState | None = None
