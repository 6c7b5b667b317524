"""What summary.json holds, declared here for all who write or read it.

Accuracies are fractions of 1. Names that begin with `modelled_` come from the profile; all other
times were measured.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from hsi_jax.errors import InputError
from hsi_jax.json_file import read_json
from hsi_jax.run.area_summary import AreaSummary
from hsi_jax.run.summary_devices import (
    DeviceSummary,
    LostProcess,
    MeasuredEven,
    MeasuredStep,
    ModelledTimes,
    Straggler,
    TimedStep,
    TimelineStep,
)
from hsi_jax.run.summary_parts import (
    AsPublished,
    Calibration,
    CubeSummary,
    FeedSummary,
    LabelSummary,
    SplitSummary,
)
from hsi_jax.run.summary_scenes import SceneResult, SceneSpread


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every training tells.

    Attributes:
        scheme: by which the batch was divided.
        batch_size: samples of a step.
        split: how samples were divided.
        steps: that were taken.
        best_step: steps taken by the state that was tested.
        step_time_ms_median: measured; None where no step was timed.
        interrupted: whether a signal ended the training early.
        versions: of the libraries.
        timeline: of the timed steps.
    """

    scheme: str
    batch_size: int
    split: SplitSummary
    steps: int
    best_step: int
    step_time_ms_median: float | None
    interrupted: bool
    versions: dict[str, str]
    timeline: list[TimelineStep] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Outcome(Training):
    """What every run of a classifier tells, ours and those of programs that `compare` starts.

    Attributes:
        overall_accuracy: OA on the test samples.
        average_accuracy: AA, the mean over the classes that are present.
        kappa: Cohen's kappa.
        per_class_accuracy: of each class, None for one without test samples.
        classes_present: classes with test samples.
        confusion_matrix: counts [C, C]; rows are the truth.
    """

    overall_accuracy: float
    average_accuracy: float
    kappa: float
    per_class_accuracy: list[float | None]
    classes_present: int
    confusion_matrix: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class RunFacts(Training, ModelledTimes):
    """What every run of ours tells, whatever was learnt; see also `Training` and `ModelledTimes`.

    Attributes:
        final_loss: of the last step; None where it was not finite.
        losses_first_steps: of the first 20 steps.
        skipped_steps: steps whose batch was left out, because it was not finite.
        dataset: name of the data.
        note: what a reader of the results has to know.
        protocol: name of the scene and split, where they are known by one.
        model: name of the architecture.
        parameters: number of trained numbers.
        input_shape: of one input.
        profile: as it was given.
        num_devices: of the profile.
        device_names: of the profile.
        speeds: of the profile.
        shares: microbatches of each device, at the end.
        weights: of each device's mean loss.
        microbatch_size: samples.
        timed_steps: steps since the start or the last resumption.
        samples_per_second: measured.
        compile_seconds: measured.
        train_seconds: measured time of all steps, also of those before a resumption, without
            compiling and validating; of a baseline, of its fit.
        feed: how samples came to the devices.
        rebalancing: steps in which the devices were timed.
        hardware: the devices, and whether they were emulated.
        devices: of the profile: where each one is and what it did.
        reduce: "device" where one program added the sums of all devices, "host" where the
            processes did.
        measured_step: where the time of a step went; None where no step was timed.
        measured_even: a step by even shares; None unless it was asked for.
        straggler: the device for which the others waited, if any; None where none was timed.
        losses: processes that were lost since the start, or the last resumption.
        failed_checkpoints: why a checkpoint could not be saved, a line each.
        labels: of a scene; None for images.
        cube: of a scene; None for images.
        remarks: what was said of the data before training, a sentence each.
    """

    final_loss: float | None
    losses_first_steps: list[float | None]
    skipped_steps: int
    dataset: str
    note: str
    model: str
    parameters: int
    input_shape: tuple[int, ...]
    profile: str
    num_devices: int
    device_names: tuple[str, ...]
    speeds: tuple[float, ...]
    shares: tuple[int, ...]
    weights: tuple[float, ...]
    microbatch_size: int
    timed_steps: int
    samples_per_second: float | None
    compile_seconds: float
    feed: FeedSummary
    rebalancing: list[TimedStep] = field(default_factory=list)
    hardware: str
    devices: list[DeviceSummary] = field(default_factory=list)
    reduce: str = "device"
    measured_step: MeasuredStep | None = None
    measured_even: MeasuredEven | None = None
    straggler: Straggler | None = None
    train_seconds: float | None = None
    losses: list[LostProcess] = field(default_factory=list)
    failed_checkpoints: list[str] = field(default_factory=list)
    labels: LabelSummary | None = None
    cube: CubeSummary | None = None
    remarks: list[str] = field(default_factory=list)
    protocol: str = ""

    @property
    def on_real_devices(self) -> bool:
        """Whether the devices were processes with times of their own, rather than emulated."""
        several = len({device.process for device in self.devices}) > 1
        return several or bool(self.timeline)


@dataclass(frozen=True, kw_only=True)
class Summary(RunFacts, Outcome):
    """The summary of one of our runs; see also `Outcome` and `RunFacts`.

    Attributes:
        test_loss: mean over the test samples.
        class_names: C names.
        class_ids: the id of each class in the files.
        per_class_users_accuracy: the part of the samples predicted as a class that are of it; None
            where there are none.
        per_class_f1: harmonic mean of user's and producer's accuracy (`per_class_accuracy`).
        per_class_iou: correct samples of a class, by those that are or are predicted as it.
        calibration: of the probabilities of the test samples; None where a model has none.
        scenes: the test in each scene of a collection; empty for any other data.
        scene_spread: of their accuracies; None unless there are several.
        as_published: in which way test samples have a say in the result; None where in none.
        areas: of the classes of a scene's map, with intervals; None for images.
    """

    test_loss: float
    class_names: tuple[str, ...]
    class_ids: tuple[int, ...]
    as_published: AsPublished | None = None
    per_class_users_accuracy: list[float | None] = field(default_factory=list)
    per_class_f1: list[float | None] = field(default_factory=list)
    per_class_iou: list[float | None] = field(default_factory=list)
    calibration: Calibration | None = None
    scenes: list[SceneResult] = field(default_factory=list)
    scene_spread: SceneSpread | None = None
    areas: AreaSummary | None = None


def to_json(summary: Training) -> dict[str, Any]:
    """A summary as the dictionary that its file holds."""
    return json.loads(msgspec.json.encode(summary))


def read_outcome(path: Path) -> Outcome:
    """Reads what every summary.json tells.

    Raises:
        InputError: if it cannot be read, or lacks an entry or has one of another type.
    """
    return read_as(path, Outcome)


def read_summary(path: Path) -> Summary:
    """Reads the summary.json of one of our runs.

    Raises:
        InputError: if it is not there, or is no such summary.
    """
    return read_as(path, Summary)


def read_as(path: Path, kind: type) -> Any:
    """Reads a summary.json of this type; raises InputError as `read_summary`."""
    try:
        return msgspec.convert(read_json(path), kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} is not the summary of a run: {error}") from None
