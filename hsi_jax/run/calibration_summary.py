"""What summary.json holds of the calibration; see `hsi_jax.run.summary`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConfidenceBin:
    """The samples whose confidence, the probability of the predicted class, lies in one bin.

    Attributes:
        samples: how many.
        confidence: their mean confidence; None without samples.
        accuracy: the part of them that is predicted rightly; None without samples.
    """

    samples: int
    confidence: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far the probabilities of the predicted classes are true, on the test samples.

    Attributes:
        expected_calibration_error: mean over the samples of |accuracy - mean confidence| of their
            bin; 0 is best.
        bins: of equal width; bin i of n has the confidences above i / n up to (i + 1) / n.
    """

    expected_calibration_error: float
    bins: tuple[ConfidenceBin, ...]
