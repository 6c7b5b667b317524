"""What a run tells: a summary for programs, a few lines for people."""

import math
import os
import platform
import statistics
from importlib.metadata import version

import jax
import numpy as np

import hsi_jax
from experiments.dataset import Dataset
from experiments.setup import Setup
from hsi_jax.data.split import class_counts, count_leakage
from hsi_jax.errors import InputError
from hsi_jax.evaluate.metrics import scores
from hsi_jax.hetero import make_plan
from hsi_jax.hetero.cluster import rank
from hsi_jax.train import Checkpoints, Fit, Rebalancing, Replicas, TrainState

FIRST_STEPS = 20
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def summarise(
    setup: Setup,
    fitted: Fit,
    rebalancing: Rebalancing | None,
    confusion: np.ndarray,
    test_loss: float,
) -> dict:
    """The content of summary.json: accuracy, shares, times (measured and modelled) and origin.

    Accuracies are fractions of 1 on the test pixels. Names that begin with `modelled_` come from
    the profile; all other times were measured here.
    """
    config, dataset, replicas = setup.config, setup.dataset, setup.replicas
    plan = replicas.plan
    # Without one where the run was resumed after its last step.
    step_seconds = statistics.median(fitted.step_seconds) if fitted.step_seconds else None
    return {
        **scores(confusion).to_json(),
        "test_loss": test_loss,
        "confusion_matrix": confusion.tolist(),
        "class_names": dataset.class_names,
        "class_ids": dataset.class_ids,
        "final_loss": _known(fitted.losses[-1]),
        "losses_first_steps": [_known(loss) for loss in fitted.losses[:FIRST_STEPS]],
        "skipped_steps": sum(_known(loss) is None for loss in fitted.losses),
        "steps": len(fitted.losses),
        "interrupted": fitted.interrupted,
        "best_step": fitted.best_step,
        "dataset": dataset.name,
        "note": dataset.note,
        "split": _summarise_split(dataset),
        "model": config.model_name,
        "parameters": count_parameters(fitted.state),
        "input_shape": dataset.input_shape,
        "scheme": plan.scheme,
        "profile": config.profile_name,
        "num_devices": len(replicas.profile),
        "device_names": replicas.profile.names,
        "speeds": replicas.profile.speeds,
        "shares": plan.shares,
        "weights": plan.weights,
        "batch_size": plan.batch_size,
        "microbatch_size": plan.microbatch_size,
        "timed_steps": len(fitted.step_seconds),
        "step_time_ms_median": step_seconds and 1e3 * step_seconds,
        "samples_per_second": step_seconds and plan.batch_size / step_seconds,
        "compile_seconds": fitted.compile_seconds,
        "feed": _summarise_feed(replicas, fitted),
        **model_times(replicas),
        "rebalancing": rebalancing.records if rebalancing else [],
        "timeline": describe_timeline(fitted, rebalancing),
        "hardware": describe_hardware(replicas),
        "versions": {
            "hsi_jax": hsi_jax.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
    }


def describe_timeline(fitted: Fit, rebalancing: Rebalancing | None) -> list[dict]:
    """Of each timed step its number, and what each process did when, s since the first stamp."""
    names = ("began", "worked", "ended")
    records = rebalancing.records if rebalancing else []
    records = records[len(records) - len(fitted.timeline) :]  # not those before a resumption
    return [
        {"step": record["step"], **dict(zip(names, stamps.T.round(6).tolist(), strict=True))}
        for record, stamps in zip(records, fitted.timeline, strict=True)
    ]


def _known(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None  # JSON has no NaN


def model_times(replicas: Replicas) -> dict:
    """Times that the profile says a step takes, under this plan and under an even one."""
    profile, plan = replicas.profile, replicas.plan
    times = profile.times(plan.shares)
    try:
        even = make_plan("even", profile, plan.batch_size, plan.microbatch_size)
        even_times = profile.times(even.shares)
    except InputError:  # an even share would exceed a memory cap
        even_times = None
    return {
        "modelled_step_time": max(times),
        "modelled_speedup_over_even": max(even_times) / max(times) if even_times else None,
        "modelled_time_unit": profile.time_unit,
        "modelled_device_times": times,
        "modelled_device_times_even": even_times,
    }


def _summarise_feed(replicas: Replicas, fitted: Fit) -> dict:
    kind = "streamed" if replicas.is_streamed else "resident"
    if not fitted.wait_seconds:  # resumed after its last step
        return {"kind": kind, "wait_ms_median": None, "wait_fraction_of_step_time": None}
    return {
        "kind": kind,
        "wait_ms_median": 1e3 * statistics.median(fitted.wait_seconds),
        "wait_fraction_of_step_time": sum(fitted.wait_seconds) / sum(fitted.step_seconds),
    }


def _summarise_split(dataset: Dataset) -> dict:
    split = dataset.split
    sets = {"train": split.train, "validation": split.validation, "test": split.test}
    per_class = {
        name: class_counts(ids, dataset.labels, dataset.num_classes).tolist()
        for name, ids in sets.items()
    }
    summary = {
        "kind": split.kind,
        "counts": {name: len(ids) for name, ids in sets.items()},
        "counts_per_class": per_class,
        "remarks": split.remarks,
    }
    return summary | ({"leakage": _summarise_leakage(dataset)} if dataset.scene else {})


def _summarise_leakage(dataset: Dataset) -> dict:
    split, patch_size = dataset.split, dataset.input_shape[0]
    leaking = count_leakage(split, dataset.scene.labels.shape, patch_size)
    return {
        "test_pixels_with_training_pixel_in_patch": leaking,
        "fraction_of_test_pixels": leaking / len(split.test),
        "patch_size": patch_size,
    }


def count_parameters(state: TrainState) -> int:
    """Number of trained numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(state.params))


def describe_hardware(replicas: Replicas) -> str:
    """The devices, and whether they are emulated."""
    device = replicas.devices[0]
    if device.platform != "cpu":
        return f"{len(replicas.profile)} x {device.device_kind}"
    if jax.process_count() > 1:
        return f"{jax.process_count()} processes, one CPU device each ({_cpu_name()})"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = "1 device" if len(replicas.profile) == 1 else f"{len(replicas.profile)} devices"
    return f"{devices} emulated on {cores} CPU cores ({_cpu_name()})"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1] for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def describe_start(setup: Setup) -> str:
    """The lines printed before training."""
    config, dataset = setup.config, setup.dataset
    split = dataset.split
    sizes = f"{len(split.train)} train, {len(split.validation)} validate, {len(split.test)} test"
    lines = [
        _describe_data(dataset),
        *([f"         {dataset.note}"] if dataset.note else []),
        f"Split    {split.kind}: {sizes}{_describe_leakage(dataset)}",
        *(f"         {remark}" for remark in split.remarks),
        f"Model    {config.model_name} on {' x '.join(map(str, dataset.input_shape))}, "
        f"{count_parameters(setup.state):,} parameters",
        f"Training {setup.num_steps} steps of {config.batch_size} samples, {config.optimizer}, "
        f"learning rate {config.learning_rate:g} ({config.schedule})",
    ]
    return "\n".join(lines)


def describe_sizes(rates: dict[int, float], chosen: int) -> str:
    """The table of the microbatch sizes that were measured, and which was chosen."""
    lines = [f"{'microbatch':>10}{'samples/s':>12}  (measured, over all devices)"]
    for size, rate in rates.items():
        lines.append(f"{size:>10}{rate:>12,.0f}{'  chosen' if size == chosen else ''}")
    return "\n".join([*lines, ""])


def _describe_data(dataset: Dataset) -> str:
    if dataset.scene is None:
        return f"Images   {dataset.name}: {len(dataset.labels)}, {dataset.num_classes} classes"
    rows, columns, bands = dataset.scene.cube.shape
    return (
        f"Scene    {dataset.name}: {rows} x {columns} pixels, {bands} bands, "
        f"{dataset.num_classes} classes"
    )


def _describe_leakage(dataset: Dataset) -> str:
    if dataset.scene is None:
        return ""
    part = _summarise_leakage(dataset)["fraction_of_test_pixels"]
    return f"; {part:.1%} of the test pixels have a training pixel in their patch"


def describe_devices(replicas: Replicas) -> str:
    """The table of shares, and what they promise."""
    profile, plan, modelled = replicas.profile, replicas.plan, model_times(replicas)
    speedup = modelled["modelled_speedup_over_even"]
    gain = "" if speedup is None else f", {speedup:.2f} x as fast as even shares"
    rows = zip(profile.names, profile.speeds, plan.shares, plan.weights, strict=True)
    lines = [
        "",
        f"{'device':<16}{'speed':>8}{'microbatches':>14}{'weight of loss':>16}",
        *(
            f"{name:<16}{speed:>8.4g}{share:>14}{weight:>16.4f}"
            for name, speed, share, weight in rows
        ),
        f"Modelled step of the slowest device: {modelled['modelled_step_time']:.4g} "
        f"({profile.time_unit}){gain}",
    ]
    return "\n".join(lines)


def describe_end(summary: dict) -> str:
    """The lines printed after the test."""
    measured = "No step since the checkpoint"
    if summary["timed_steps"]:
        measured = (
            f"Measured step: {summary['step_time_ms_median']:.1f} ms (median), "
            f"{summary['samples_per_second']:,.0f} samples/s, compiled in "
            f"{summary['compile_seconds']:.1f} s"
        )
    lines = [
        f"{measured}; {summary['hardware']}",
        "",
        f"Test, {summary['split']['kind']} split: OA {summary['overall_accuracy']:.2%}, "
        f"AA {summary['average_accuracy']:.2%}, kappa {summary['kappa']:.4f} "
        f"(state after step {summary['best_step']} of {summary['steps']})",
    ]
    if summary["interrupted"]:
        lines.append("Ctrl-C ended the training early; the results are those of its steps so far.")
    return "\n".join(lines)


def describe_checkpoints(checkpoints: Checkpoints, event: str) -> str:
    """The lines that tell where the run can go on, and whether a checkpoint could not be saved."""
    steps = checkpoints.steps()
    newest = f"the newest checkpoint is of step {steps[-1]}" if steps else "there is no checkpoint"
    lines = [f"{event}; {newest}. Go on with --resume --workdir={checkpoints.path.parent}"]
    if checkpoints.failures:
        lines.append(
            f"WARNING: {len(checkpoints.failures)} checkpoints could not be saved, the last one "
            f"because: {checkpoints.failures[-1]}"
        )
    return "\n".join(lines)


def say(text: str) -> None:
    """Prints; in a cluster, with the number of the process before each line."""
    if jax.process_count() > 1:
        text = "\n".join(f"[{rank()}] {line}" for line in text.splitlines())
    print(text, flush=True)
