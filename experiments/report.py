"""What a run tells: a summary for programs, a few lines for people, pictures for both."""

import os
import platform
import statistics
from importlib.metadata import version

import jax
import numpy as np

import hsi_jax
from experiments.setup import Setup
from hsi_jax.data.scene import Scene
from hsi_jax.data.split import Split, class_counts, count_leakage
from hsi_jax.errors import InputError
from hsi_jax.evaluate.confusion import draw_confusion
from hsi_jax.evaluate.curves import draw_curves
from hsi_jax.evaluate.map import draw_map, rgb_composite
from hsi_jax.evaluate.metrics import scores
from hsi_jax.evaluate.shares import draw_shares
from hsi_jax.hetero import make_plan
from hsi_jax.train import Fit, Rebalancing, Replicas, TrainState

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
    config, scene, split, replicas = setup.config, setup.scene, setup.split, setup.replicas
    plan = replicas.plan
    step_seconds = statistics.median(fitted.step_seconds)
    return {
        **scores(confusion).to_json(),
        "test_loss": test_loss,
        "confusion_matrix": confusion.tolist(),
        "class_names": scene.class_names,
        "class_ids": scene.class_ids,
        "final_loss": fitted.losses[-1],
        "losses_first_steps": fitted.losses[:FIRST_STEPS],
        "steps": len(fitted.losses),
        "interrupted": fitted.interrupted,
        "best_step": fitted.best_step,
        "dataset": scene.name,
        "note": scene.note,
        "split": _summarise_split(split, scene, replicas.patches.patch_size),
        "model": config.model,
        "parameters": count_parameters(fitted.state),
        "patch_size": replicas.patches.patch_size,
        "channels": replicas.patches.cube.shape[-1],
        "scheme": plan.scheme,
        "profile": config.profile_name,
        "num_devices": len(replicas.profile),
        "device_names": replicas.profile.names,
        "speeds": replicas.profile.speeds,
        "shares": plan.shares,
        "weights": plan.weights,
        "batch_size": plan.batch_size,
        "microbatch_size": plan.microbatch_size,
        "step_time_ms_median": 1e3 * step_seconds,
        "samples_per_second": plan.batch_size / step_seconds,
        "compile_seconds": fitted.compile_seconds,
        **model_times(replicas),
        "rebalancing": rebalancing.records if rebalancing else [],
        "hardware": describe_hardware(replicas),
        "versions": {
            "hsi_jax": hsi_jax.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
    }


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


def _summarise_split(split: Split, scene: Scene, patch_size: int) -> dict:
    sets = {"train": split.train, "validation": split.validation, "test": split.test}
    leaking = count_leakage(split, scene.labels.shape, patch_size)
    per_class = {
        name: class_counts(ids, scene.labels, scene.num_classes).tolist()
        for name, ids in sets.items()
    }
    return {
        "kind": split.kind,
        "counts": {name: len(ids) for name, ids in sets.items()},
        "counts_per_class": per_class,
        "leakage": {
            "test_pixels_with_training_pixel_in_patch": leaking,
            "fraction_of_test_pixels": leaking / len(split.test),
            "patch_size": patch_size,
        },
        "remarks": split.remarks,
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
    config, scene, split = setup.config, setup.scene, setup.split
    rows, columns, bands = scene.cube.shape
    size, channels = setup.replicas.patches.patch_size, setup.replicas.patches.cube.shape[-1]
    leakage = count_leakage(split, scene.labels.shape, size) / len(split.test)
    sizes = f"{len(split.train)} train, {len(split.validation)} validate, {len(split.test)} test"
    lines = [
        f"Scene    {scene.name}: {rows} x {columns} pixels, {bands} bands, "
        f"{scene.num_classes} classes",
        f"Split    {split.kind}: {sizes}; {leakage:.1%} of the test pixels have a training pixel "
        f"in their patch",
        *(f"         {remark}" for remark in split.remarks),
        f"Model    {config.model} on {size} x {size} x {channels}, "
        f"{count_parameters(setup.state):,} parameters",
        f"Training {setup.num_steps} steps of {config.batch_size} samples, {config.optimizer}, "
        f"learning rate {config.learning_rate:g} ({config.schedule})",
    ]
    if scene.note:
        lines.insert(1, f"         {scene.note}")
    return "\n".join(lines)


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
    lines = [
        f"Measured step: {summary['step_time_ms_median']:.1f} ms (median), "
        f"{summary['samples_per_second']:,.0f} samples/s, compiled in "
        f"{summary['compile_seconds']:.1f} s; {summary['hardware']}",
        "",
        f"Test, {summary['split']['kind']} split: OA {summary['overall_accuracy']:.2%}, "
        f"AA {summary['average_accuracy']:.2%}, kappa {summary['kappa']:.4f} "
        f"(state after step {summary['best_step']} of {summary['steps']})",
    ]
    if summary["interrupted"]:
        lines.append("Ctrl-C ended the training early; the results are those of its steps so far.")
    return "\n".join(lines)


def write_prediction(setup: Setup, prediction: np.ndarray) -> None:
    """Saves the map as arrays, in the scene's own label ids (0 = unlabelled)."""
    scene = setup.scene
    setup.folder.write_arrays(
        "prediction.npz",
        prediction=scene.original_labels(prediction),
        truth=scene.original_labels(scene.labels),
        **{name: _mask(setup, name) for name in ("train", "validation", "test")},
    )


def _mask(setup: Setup, name: str) -> np.ndarray:
    """The pixels of a set of the split, bool [rows, columns]."""
    mask = np.zeros(setup.scene.labels.shape, bool)
    mask.flat[getattr(setup.split, name)] = True
    return mask


def draw(
    setup: Setup,
    fitted: Fit,
    rebalancing: Rebalancing | None,
    confusion: np.ndarray,
    prediction: np.ndarray,
) -> None:
    """Draws the pictures of a run."""
    folder, scene = setup.folder, setup.scene
    folder.write_figure("curves.png", draw_curves(folder.read_metrics(), fitted.best_step))
    folder.write_figure("confusion.png", draw_confusion(confusion, scene.class_names))
    rgb = rgb_composite(scene.cube, scene.rgb_bands) if scene.rgb_bands else None
    oa = scores(confusion).overall_accuracy
    title = f"{scene.name}: OA {oa:.2%} on test pixels, {setup.split.kind} split"
    test = _mask(setup, "test")
    folder.write_figure(
        "map.png", draw_map(scene.labels, prediction, scene.class_names, test, rgb, title)
    )
    replicas, modelled = setup.replicas, model_times(setup.replicas)
    shares = draw_shares(
        replicas.profile.names,
        replicas.profile.speeds,
        replicas.plan.shares,
        replicas.plan.weights,
        modelled["modelled_device_times"],
        replicas.plan.scheme,
        replicas.profile.time_unit,
        modelled["modelled_device_times_even"],
        rebalancing.records if rebalancing else (),
    )
    folder.write_figure("shares.png", shares)
