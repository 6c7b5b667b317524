"""The content of summary.json, from what a run has done."""

import math
import platform
import statistics
from typing import Any

import numpy as np

from hsi_jax.cluster.exchange import devices_of_processes, reduction
from hsi_jax.command_line import with_flags
from hsi_jax.data.scene.read_options import format_value
from hsi_jax.data.splits.distance import count_leakage
from hsi_jax.data.splits.split import class_counts, digest_of_samples
from hsi_jax.evaluate.measures.calibration import measure_calibration
from hsi_jax.evaluate.measures.metrics import class_scores
from hsi_jax.evaluate.measures.utilisation import measure_step
from hsi_jax.hetero import Plan, Profile
from hsi_jax.models import find_trait
from hsi_jax.run.records import training_seconds
from hsi_jax.run.summary import Summary
from hsi_jax.run.summary_devices import MeasuredEven, TimelineStep
from hsi_jax.run.summary_parts import (
    Calibration,
    CubeSummary,
    FeedSummary,
    LabelSummary,
    Leakage,
    SplitSummary,
)
from hsi_jax.session.as_published import summarise_as_published
from hsi_jax.session.setup import Setup
from hsi_jax.session.summarise_collection import measure_shared, summarise_scenes
from hsi_jax.session.summarise_devices import (
    describe_hardware,
    model_times,
    stamps_of_devices,
    summarise_devices,
    summarise_losses,
    summarise_straggler,
)
from hsi_jax.train import Assessment, Dataset, Fit, Rebalancing, Replicas, count_parameters
from hsi_jax.train.step_clock import COMPUTING, PHASES
from hsi_jax.trained.from_training import library_versions

FIRST_STEPS = 20


def summarise(setup: Setup, fitted: Fit, test: Assessment, **facts: Any) -> Summary:
    """What a run of a classifier tells about itself; see `Summary`.

    Args:
        setup: as for `summarise_facts`.
        fitted: as for `summarise_facts`.
        test: of the chosen state, on the test samples.
        facts: the other arguments of `summarise_facts`.
    """
    return Summary(
        **summarise_facts(setup, fitted, **facts),
        **_summarise_test(setup, test),
        **summarise_scenes(setup.dataset, test),
        as_published=summarise_as_published(setup.options, setup.folder.read_records()),
    )


def summarise_facts(
    setup: Setup,
    fitted: Fit,
    *,
    rebalancing: Rebalancing | None,
    failed_checkpoints: list[str],
    train_seconds: float | None = None,
    even: MeasuredEven | None = None,
) -> dict[str, Any]:
    """What every run tells about itself; see `RunFacts`.

    Args:
        setup: what the run started from, with the profile of the devices as known at the end.
        fitted: its training.
        rebalancing: the timed steps, or None.
        failed_checkpoints: why a checkpoint could not be saved, a line each.
        train_seconds: measured, where not step by step.
        even: what was measured with even shares, or None.
    """
    profile, timeline = setup.profile, _describe_timeline(fitted, rebalancing)
    measured = measure_step(timeline, profile.names)
    modelled = model_times(profile, fitted.plan, measured)
    return dict(
        **_summarise_data(setup),
        **_summarise_course(setup, fitted),
        **_summarise_plan(setup, fitted.plan, profile),
        **vars(modelled),
        rebalancing=rebalancing.records if rebalancing else [],
        timeline=timeline,
        measured_step=measured,
        measured_even=even,
        hardware=describe_hardware(setup.replicas),
        devices=summarise_devices(setup, fitted, profile, modelled.modelled_communication or 0.0),
        reduce=reduction(),
        straggler=summarise_straggler(setup, rebalancing, profile, timeline),
        train_seconds=train_seconds or training_seconds(setup.folder.read_records()),
        losses=summarise_losses(),
        failed_checkpoints=failed_checkpoints,
        versions={"python": platform.python_version(), **library_versions()},
    )


def _summarise_data(setup: Setup) -> dict[str, Any]:
    dataset, digests = setup.dataset, setup.fingerprint.parts
    return {
        "dataset": dataset.name,
        "note": dataset.note,
        "protocol": setup.options.split.protocol,
        "split": summarise_split(dataset),
        "labels": summarise_labels(dataset),
        "cube": summarise_cube(dataset, digests.get("cube", "")),
        "remarks": [*describe_remarks(dataset), *describe_begin(setup)],
    }


def _summarise_test(setup: Setup, test: Assessment) -> dict[str, Any]:
    dataset, by_class = setup.dataset, class_scores(test.confusion).to_json()
    del by_class["per_class_producers_accuracy"]  # `per_class_accuracy` of the scores
    return {
        **test.scores.to_json(),
        **by_class,
        "test_loss": test.loss,
        "confusion_matrix": test.confusion.tolist(),
        "class_names": tuple(dataset.class_names),
        "class_ids": tuple(map(int, dataset.class_ids)),
        "calibration": _calibrate(setup, test),
    }


def _summarise_course(setup: Setup, fitted: Fit) -> dict[str, Any]:
    """Losses and times; there are no times where the run was resumed after its last step."""
    seconds = statistics.median(fitted.step_seconds) if fitted.step_seconds else None
    return {
        "final_loss": _known(fitted.losses[-1]) if fitted.losses else None,
        "losses_first_steps": [_known(loss) for loss in fitted.losses[:FIRST_STEPS]],
        "skipped_steps": sum(_known(loss) is None for loss in fitted.losses),
        "steps": len(fitted.losses),
        "interrupted": fitted.interrupted,
        "best_step": fitted.best_step,
        "timed_steps": len(fitted.step_seconds),
        "step_time_ms_median": seconds and 1e3 * seconds,
        "samples_per_second": seconds and fitted.plan.batch_size / seconds,
        "compile_seconds": fitted.compile_seconds,
        "feed": _summarise_feed(setup.replicas, fitted),
    }


def _summarise_plan(setup: Setup, plan: Plan, profile: Profile) -> dict[str, Any]:
    return {
        "model": setup.options.model_name,
        "parameters": count_parameters(setup.state),
        "input_shape": tuple(setup.dataset.input_shape),
        "scheme": plan.scheme.name,
        "profile": setup.resolved.profile_name,
        "num_devices": len(profile),
        "device_names": profile.names,
        "speeds": profile.speeds,
        "shares": plan.shares,
        "weights": plan.weights,
        "batch_size": plan.batch_size,
        "microbatch_size": plan.microbatch_size,
    }


def _calibrate(setup: Setup, test: Assessment) -> Calibration | None:
    if not find_trait(setup.options.model_name, "has_probabilities"):
        return None
    truth = setup.dataset.labels[setup.dataset.split.test]
    return measure_calibration(test.confidences, test.classes == truth)


def summarise_labels(dataset: Dataset) -> LabelSummary | None:
    """The ids of the pixels of scenes; None for images, and without labels."""
    if dataset.pixels is not None and dataset.num_classes:
        counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
        return LabelSummary(class_counts=counts.tolist(), unlabelled={})
    if dataset.scene is None or dataset.scene.labels is None:
        return None
    counts = class_counts(dataset.scene.labelled, dataset.labels, dataset.num_classes)
    return LabelSummary(
        class_counts=counts.tolist(),
        unlabelled=dict(dataset.scene.unlabelled_counts),
        pixels_without_data=dataset.scene.nodata_labelled,
    )


def summarise_cube(dataset: Dataset, digest: str = "") -> CubeSummary | None:
    """What of a scene's cube is used; None for images."""
    scene = dataset.scene
    if scene is None:
        return None
    bands = scene.file_bands or scene.shape[2]
    kept = range(bands) if scene.kept_bands is None else scene.kept_bands
    return CubeSummary(
        shape=scene.shape,
        nodata_values=tuple(map(format_value, scene.nodata_values)),
        pixels_without_data=0 if scene.nodata is None else int(scene.nodata.sum()),
        file_bands=bands,
        dropped_bands=tuple(sorted(set(range(bands)) - set(kept))),
        band_axis=scene.band_axis,
        digest=digest,
    )


def describe_remarks(dataset: Dataset) -> list[str]:
    """What is to be said of the scenes before training, with the names of flags."""
    source = dataset.source
    remarks = (*source.remarks, *dataset.events) if source else ()
    return [with_flags(remark) for remark in remarks]


def describe_begin(setup: Setup) -> list[str]:
    """What the training starts from, and what was matched; nothing if from random numbers."""
    start, freeze = setup.resolved.start, setup.options.learning.freeze
    return [start.describe(setup.dataset, freeze=freeze)] if start else []


def _describe_timeline(fitted: Fit, rebalancing: Rebalancing | None) -> list[TimelineStep]:
    """When each process did what in the timed steps of this start."""
    records = rebalancing.records if rebalancing else []
    records = records[len(records) - len(fitted.timeline) :]  # not those before a resumption
    steps = []
    for record, stamps, times in zip(records, fitted.timeline, fitted.phases, strict=True):
        began, worked, ended = stamps_of_devices(stamps, record.device_seconds).T.round(6).tolist()
        if len(began) != len(times):  # devices of a process read, add and update together
            times = np.repeat(times, devices_of_processes(), axis=0)
            times[:, PHASES.index(COMPUTING)] = record.device_seconds
        phases = dict(zip(PHASES, times.T.astype(float).round(6).tolist(), strict=True))
        steps.append(
            TimelineStep(step=record.step, began=began, worked=worked, ended=ended, phases=phases)
        )
    return steps


def _known(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None  # JSON has no NaN


def _summarise_feed(replicas: Replicas, fitted: Fit) -> FeedSummary:
    kind = "streamed" if replicas.is_streamed else "resident"
    if not fitted.wait_seconds:  # resumed after its last step
        return FeedSummary(kind=kind, wait_ms_median=None, wait_fraction_of_step_time=None)
    return FeedSummary(
        kind=kind,
        wait_ms_median=1e3 * statistics.median(fitted.wait_seconds),
        wait_fraction_of_step_time=sum(fitted.wait_seconds) / sum(fitted.step_seconds),
    )


def summarise_split(dataset: Dataset) -> SplitSummary:
    """The split, and its leakage where the samples are pixels of a scene."""
    split = dataset.split
    sets = {"train": split.train, "validation": split.validation, "test": split.test}
    return SplitSummary(
        kind=split.kind,
        counts={name: len(ids) for name, ids in sets.items()},
        counts_per_class={
            name: class_counts(ids, dataset.labels, dataset.num_classes).tolist()
            for name, ids in (sets.items() if dataset.num_classes else ())
        },
        remarks=tuple(split.remarks),
        leakage=_measure_leakage(dataset),
        digest=digest_of_samples(*sets.values()),
        test_digest=digest_of_samples(split.test),
    )


def _measure_leakage(dataset: Dataset) -> Leakage | None:
    if not dataset.num_classes:
        return None
    if dataset.pixels is not None:
        return measure_shared(dataset.pixels, dataset.split, dataset.input_shape[0])
    if dataset.scene is None:
        return None
    split, patch_size = dataset.split, dataset.input_shape[0]
    shape = dataset.scene.cube.shape[:2]
    leaking = count_leakage(split, shape, patch_size)
    validating = None
    if len(split.validation):
        validating = count_leakage(split, shape, patch_size, "validation")
    return Leakage(
        test_pixels_with_training_pixel_in_patch=leaking,
        fraction_of_test_pixels=leaking / len(split.test),
        patch_size=patch_size,
        validation_pixels_with_training_pixel_in_patch=validating,
        fraction_of_validation_pixels=(
            None if validating is None else validating / len(split.validation)
        ),
    )
