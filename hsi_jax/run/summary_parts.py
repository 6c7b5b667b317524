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
class TimedStep:
    """A step in which each device was timed.

    Attributes:
        step: its number, from 0.
        device_seconds: measured time of each device's own microbatches, s.
        shares: microbatches of each device from then on.
    """

    step: int
    device_seconds: list[float]
    shares: list[int]


@dataclass(frozen=True, kw_only=True)
class TimelineStep:
    """When each process did what in a timed step, s since the first time stamp of the run.

    Attributes:
        step: its number, from 0.
        began: start of the process's own work, [processes].
        worked: end of it.
        ended: end of the step.
        phases: s that each took for "reading", "computing", "waiting", "sum" and "update".
    """

    step: int
    began: list[float]
    worked: list[float]
    ended: list[float]
    phases: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MeasuredStep:
    """Where the time of a step of several processes went: medians of the timed steps, ms.

    Attributes:
        names: of the devices, or of the processes where they have several, [processes].
        own_work_ms: of each one's own microbatches, [processes].
        waiting_ms: after them, until the last one had done its own, [processes].
        sum_and_update_ms: from then on.
        step_ms: from the first beginning to the last end.
        timed_steps: how many.
        phases_ms: of each phase (see `TimelineStep`), [processes].
    """

    names: tuple[str, ...]
    own_work_ms: tuple[float, ...]
    waiting_ms: tuple[float, ...]
    sum_and_update_ms: float
    step_ms: float
    timed_steps: int
    phases_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MeasuredEven:
    """Steps by even shares and by those of the run in turn, before the training; medians, ms.

    Attributes:
        even_ms: of a step by even shares.
        own_ms: of a step by the run's first shares.
        even_shares: microbatches of each device.
        own_shares: microbatches of each device.
        repeats: steps of each.
    """

    even_ms: float
    own_ms: float
    even_shares: tuple[int, ...]
    own_shares: tuple[int, ...]
    repeats: int

    @property
    def speedup(self) -> float | None:
        """How many times as fast the run's own shares were; None where they are even shares."""
        return self.even_ms / self.own_ms if self.own_shares != self.even_shares else None


@dataclass(frozen=True, kw_only=True)
class ModelledTimes:
    """What the profile says a step takes.

    Times with even shares are None where a memory cap forbids them; those of devices are of own
    work. `modelled_communication` is the measured time of sum and update, included where known.
    """

    modelled_step_time: float
    modelled_speedup_over_even: float | None
    modelled_time_unit: str
    modelled_device_times: tuple[float, ...]
    modelled_device_times_even: tuple[float, ...] | None
    modelled_communication: float | None = None


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


@dataclass(frozen=True, kw_only=True)
class DeviceSummary:
    """A device: where it is and what it did.

    Attributes:
        name: as in the profile.
        process: number of its process.
        kind: as JAX calls it, such as "cpu" or "NVIDIA A100".
        microbatches: that it has done since the start or the last resumption.
        part: of all of these.
        modelled_step_time_without: what `modelled_step_time` would be without it, all at the end of
            the run; None where the others could not do it.
    """

    name: str
    process: int
    kind: str
    microbatches: int
    part: float
    modelled_step_time_without: float | None


@dataclass(frozen=True, kw_only=True)
class Straggler:
    """The device for which the others have waited longest, by the timed steps alone.

    Attributes:
        device: its number.
        name: as in the profile.
        waited_seconds: how long half of the others at least waited for it, over all timed steps.
        timed_steps: steps in which the devices were timed.
        slow_steps: those of them in which the others waited for it.
        since_step: the timed step from which on, without a break, they waited for it longest.
        until_step: the last one of these.
        phase: in which it lost most: "reading", "computing" or "update"; and how much, s.
    """

    device: int
    name: str
    waited_seconds: float
    timed_steps: int
    slow_steps: int
    since_step: int
    until_step: int
    phase: str = "computing"
    phase_seconds: float | None = None


@dataclass(frozen=True)
class LostProcess:
    """A process that was lost while the others went on.

    Attributes:
        process: its number.
        step: the next complete step, number from 0; None where it was lost after the last one.
        seconds: from when the others noticed to the end of that step, s.
    """

    process: int
    step: int | None
    seconds: float | None
