"""What summary.json holds after a run without labels: errors, and no accuracies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hsi_jax.run.summary import RunFacts, read_as


@dataclass(frozen=True, kw_only=True)
class ReconstructionSummary:
    """How well hidden values are filled in; errors are mean squares in units of the scaled bands.

    Attributes:
        measured_on: "validation", the pixels held out, or "train".
        pixels: whose patches were measured.
        error: over all hidden values.
        error_of_mean: the same, if the mean were given for every one.
        per_band: error of each band, or component; None where it was never hidden.
        per_band_of_mean: the same, if the mean were given.
        hidden_groups: groups of bands that are hidden in a patch.
        hidden_pixels: pixels that are hidden in a patch.
    """

    measured_on: str
    pixels: int
    error: float
    error_of_mean: float
    per_band: list[float | None]
    per_band_of_mean: list[float | None]
    hidden_groups: int
    hidden_pixels: int


@dataclass(frozen=True, kw_only=True)
class PretrainingSummary(RunFacts):
    """The summary of a run without labels: it has errors, and no accuracies; see also `RunFacts`.

    Attributes:
        task: by which such a summary is known.
        reconstruction: how well hidden values are filled in.
    """

    task: Literal["pretrain"]
    reconstruction: ReconstructionSummary


def read_pretraining(path: Path) -> PretrainingSummary:
    """Reads the summary.json of one of our runs without labels.

    Raises:
        InputError: if it is not there, or is no such summary.
    """
    return read_as(path, PretrainingSummary)
