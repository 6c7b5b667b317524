"""The parts of summary.json; `hsi_jax.run.summary` brings them together."""

from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """How many pixels of a set have a pixel that was learnt from inside their patch.

    For test pixels, validation pixels count as learnt from, because they choose the state. Of a
    collection, `shared` is the part of the test pixels that lie in a scene, or on the ground, or in
    scenes of a site, date or other group, that was learnt from.
    """

    test_pixels_with_training_pixel_in_patch: int
    fraction_of_test_pixels: float
    patch_size: int
    validation_pixels_with_training_pixel_in_patch: int | None = None
    fraction_of_validation_pixels: float | None = None
    shared: dict[str, float] = field(default_factory=dict)


class SplitSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """The split: its kind, its samples and its leakage (of a scene).

    Runs with the same `digest` trained, chose and tested on the same samples; those with the same
    `test_digest` tested on the same ones.
    """

    kind: str
    counts: dict[str, int]
    counts_per_class: dict[str, list[int]] = {}
    remarks: tuple[str, ...] = ()
    leakage: Leakage | None = None
    digest: str = ""
    test_digest: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelSummary:
    """The ids of a scene's label map and how many pixels hold them.

    Attributes:
        class_counts: labelled pixels of each class, in the order of `class_ids`.
        unlabelled: ids without a class, or "nan", and their pixels.
        pixels_without_data: pixels that have a class but no data, and so count as unlabelled.
    """

    class_counts: list[int]
    unlabelled: dict[str, int]
    pixels_without_data: int = 0


@dataclass(frozen=True, kw_only=True)
class CubeSummary:
    """What of a scene's cube is used.

    Attributes:
        shape: rows, columns and bands that are used.
        nodata_values: values declared as "no data", as text.
        pixels_without_data: pixels that take no part in anything.
        file_bands: bands of the file.
        dropped_bands: those that are left out, counted from 0.
        band_axis: axis along which the bands lie in the file.
        digest: SHA-256 of its numbers, by which another scene is told from it.
    """

    shape: tuple[int, int, int]
    nodata_values: tuple[str, ...] = ()
    pixels_without_data: int = 0
    file_bands: int
    dropped_bands: tuple[int, ...] = ()
    band_axis: int = 2
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class FeedSummary:
    """How samples came to the devices, and how long steps waited for them.

    Times are None where no step was taken since a checkpoint.
    """

    kind: str
    wait_ms_median: float | None
    wait_fraction_of_step_time: float | None


@dataclass(frozen=True, kw_only=True)
class ChosenState:
    """A state of the training, after this many steps, and its scores on the test samples."""

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
