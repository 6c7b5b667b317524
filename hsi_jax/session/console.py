"""What a run prints for people: a few lines before training, a table of devices, the end."""

from hsi_jax.cluster.exchange import can_survive, is_first, num_processes
from hsi_jax.cluster.processes import rank
from hsi_jax.command_line import with_flags
from hsi_jax.data.scene.read_options import bands_to_text
from hsi_jax.errors import printable
from hsi_jax.hetero import Plan, Profile
from hsi_jax.models import find_trait
from hsi_jax.run import Checkpoints
from hsi_jax.run.summary import RunFacts, Summary
from hsi_jax.run.summary_parts import LabelSummary, Leakage
from hsi_jax.session.console_devices import (
    HARD_SPACE,
    describe_losses,
    describe_measured,
    describe_straggler,
    entry,
)
from hsi_jax.session.options import RunOptions
from hsi_jax.session.protocols import PROTOCOLS
from hsi_jax.session.setup import Setup
from hsi_jax.session.summarise import (
    describe_begin,
    describe_remarks,
    summarise_cube,
    summarise_labels,
    summarise_split,
)
from hsi_jax.session.summarise_collection import describe_scenes, describe_shared
from hsi_jax.session.summarise_devices import model_times
from hsi_jax.train import Dataset, Recipe, count_parameters

MAX_CLASSES = 24  # that are listed


def describe_start(setup: Setup) -> str:
    """The lines printed before training."""
    dataset, split = setup.dataset, setup.dataset.split
    last = "test" if dataset.num_classes else "hidden"
    sizes = f"{len(split.train)} train, {len(split.validation)} validate, {len(split.test)} {last}"
    leakage = summarise_split(dataset).leakage
    lines = [
        _describe_data(dataset),
        *([f"         {dataset.note}"] if dataset.note else []),
        *describe_scene(dataset),
        *_describe_protocol(setup.options),
        f"Split    {split.kind}: {sizes}{_describe_leakage(leakage)}",
        *(line for text in (describe_shared(leakage), *split.remarks) for line in entry("", text)),
        *_describe_model(setup),
    ]
    return "\n".join(lines)


def _describe_protocol(options: RunOptions) -> list[str]:
    if not options.split.protocol:
        return []
    protocol = PROTOCOLS.find(options.split.protocol)
    return entry("Protocol", f"{protocol.name} ({protocol.whose}): {protocol.split}")


def _describe_model(setup: Setup) -> list[str]:
    options = setup.options
    dataset = setup.dataset
    inputs = " x ".join(map(str, dataset.input_shape))
    if not find_trait(options.model_name, "trained_by_gradient"):
        return [
            f"Model    {options.model_name} on {inputs}, fitted by scikit-learn in this process",
            "         Devices only predict. Of the flags of Training only `seed` has an effect.",
        ]
    recipe, usual = setup.recipe, Recipe()
    loss = "" if recipe.loss == usual.loss else f", {recipe.loss} loss"
    sampling = "" if recipe.sampling == usual.sampling else f", {recipe.sampling} sampling"
    said = [line for text in describe_begin(setup) for line in entry("Start", text)]
    return [
        *said,
        f"Model    {options.model_name} on {inputs}, {count_parameters(setup.state):,} parameters",
        f"Training {setup.num_steps} steps of {recipe.batch_size} samples, {recipe.optimizer}, "
        f"learning rate {recipe.learning_rate:g} ({recipe.schedule}){loss}{sampling}",
    ]


def describe_scene(dataset: Dataset) -> list[str]:
    """The lines on a scene's ids, pixels without data and bands, and what has to be known."""
    labels, cube = summarise_labels(dataset), summarise_cube(dataset)
    lines = [] if labels is None else _describe_labels(dataset, labels)
    if cube and (cube.pixels_without_data or cube.nodata_values):
        values = f" ({', '.join(cube.nodata_values)})" if cube.nodata_values else ""
        lines += entry(
            "No data",
            f"{cube.pixels_without_data} of {cube.shape[0] * cube.shape[1]} pixels{values}"
            + (f", {labels.pixels_without_data} of them with the id of a class" if labels else ""),
        )
    if cube and cube.dropped_bands:
        dropped = bands_to_text(list(cube.dropped_bands))
        lines += entry(
            "Bands",
            f"{cube.shape[2]} of {cube.file_bands}, without {dropped} (counted from 0)",
        )
    return [*lines, *(line for text in describe_remarks(dataset) for line in entry("", text))]


def _describe_labels(dataset: Dataset, labels: LabelSummary) -> list[str]:
    classes = zip(dataset.class_ids, dataset.class_names, labels.class_counts, strict=True)
    named = [
        f"{name}: {count}" if name == f"class {class_id}" else f"{class_id} {name}: {count}"
        for class_id, name, count in classes
    ]
    if len(named) > MAX_CLASSES:
        named[MAX_CLASSES:] = [f"{len(named) - MAX_CLASSES} more, see summary.json"]
    lines = entry("Labels", "; ".join(name.replace(" ", HARD_SPACE) for name in named))
    if dataset.pixels is not None:  # pixels without a class are not counted in each scene
        return lines
    without = ", ".join(f"id {i}: {count}" for i, count in labels.unlabelled.items())
    return lines + entry("", f"unlabelled {without or 'none'}")


def describe_sizes(rates: dict[int, float], chosen: int) -> str:
    """The table of the microbatch sizes that were measured, and which was chosen."""
    lines = [f"{'microbatch':>10}{'samples/s':>12}  (measured, over all devices)"]
    for size, rate in rates.items():
        lines.append(f"{size:>10}{rate:>12,.0f}{'  chosen' if size == chosen else ''}")
    return "\n".join([*lines, ""])


def _describe_data(dataset: Dataset) -> str:
    if dataset.pixels is not None:
        collection = dataset.pixels.collection
        which = "labelled pixels" if dataset.num_classes else "pixels that are learnt from"
        return (
            f"Scenes   {dataset.name}: {len(collection)} with {len(dataset.labels)} {which}, "
            f"{collection.num_bands} bands{_count_classes(dataset)}"
        )
    if dataset.scene is None:
        return f"Images   {dataset.name}: {len(dataset.labels)}, {dataset.num_classes} classes"
    rows, columns, bands = dataset.scene.cube.shape
    shape = f"{rows} x {columns} pixels, {bands} bands"
    return f"Scene    {dataset.name}: {shape}{_count_classes(dataset)}"


def _count_classes(dataset: Dataset) -> str:
    return f", {dataset.num_classes} classes" if dataset.num_classes else ""


def _describe_leakage(leakage: Leakage | None) -> str:
    if leakage is None:
        return ""
    part, chosen = leakage.fraction_of_test_pixels, leakage.fraction_of_validation_pixels
    validation = "" if chosen is None else f", and {chosen:.1%} of the validation pixels"
    return f"; {part:.1%} of the test pixels{validation} have a training pixel in their patch"


def describe_devices(profile: Profile, plan: Plan) -> str:
    """The table of shares, and what they promise."""
    modelled = model_times(profile, plan)
    speedup = modelled.modelled_speedup_over_even
    gain = ""
    if speedup is not None and num_processes() == 1:  # of real devices it would be believed
        gain = f", {speedup:.2f} x as fast as even shares"
    rows = zip(profile.names, profile.speeds, plan.shares, plan.weights, strict=True)
    lines = [
        "",
        f"{'device':<16}{'speed':>8}{'microbatches':>14}{'weight of loss':>16}",
        *(
            f"{name:<16}{speed:>8.4g}{share:>14}{weight:>16.4f}"
            for name, speed, share, weight in rows
        ),
        f"Modelled step of the slowest device, without communication: "
        f"{modelled.modelled_step_time:.4g} ({profile.time_unit}){gain}",
    ]
    if bias := plan.describe_bias(profile.names):
        lines.append(f"NOTE     {bias}")
    return "\n".join(lines)


def describe_steps(summary: RunFacts) -> list[str]:
    """Lines on what the steps took."""
    measured = "No step since the checkpoint" if summary.steps else "No step: nothing was timed"
    if summary.timed_steps:
        measured = (
            f"Measured step: {summary.step_time_ms_median:.1f} ms (median), "
            f"{summary.samples_per_second:,.0f} samples/s, compiled in "
            f"{summary.compile_seconds:.1f} s"
        )
    return [
        f"{measured}; {summary.hardware}",
        *describe_measured(summary),
        *describe_straggler(summary.straggler),
        *describe_losses(summary.losses),
        "",
    ]


def describe_state(summary: RunFacts) -> str:
    """Which state was measured."""
    return f" (state after step {summary.best_step} of {summary.steps})" if summary.steps else ""


INTERRUPTED = "Ctrl-C ended the training early; the results are those of its steps so far."


def describe_end(summary: Summary) -> str:
    """The lines printed after the test."""
    lines = [
        *describe_steps(summary),
        f"Test, {summary.split.kind} split: OA {summary.overall_accuracy:.2%}, "
        f"AA {summary.average_accuracy:.2%}, kappa {summary.kappa:.4f}{describe_state(summary)}",
    ]
    if summary.calibration:
        error = summary.calibration.expected_calibration_error
        bins = len(summary.calibration.bins)
        lines.append(f"Expected calibration error {error:.4f} ({bins} bins of confidence)")
    lines += describe_scenes(summary)
    lines += _describe_as_published(summary)
    if summary.interrupted:
        lines.append(INTERRUPTED)
    return "\n".join(lines)


def _describe_as_published(summary: Summary) -> list[str]:
    if summary.as_published is None:
        return []
    lines = [f"As published: {'; '.join(summary.as_published.deviations)}."]
    if state := summary.as_published.by_validation:
        lines.append(
            f"The same training, epoch chosen without test pixels: OA "
            f"{state.overall_accuracy:.2%}, AA {state.average_accuracy:.2%}, kappa "
            f"{state.kappa:.4f} (state after step {state.step})"
        )
    return lines


def describe_checkpoints(checkpoints: Checkpoints, event: str, flags: str = "") -> str:
    """The lines that tell where the run can go on, and whether a checkpoint could not be saved.

    Args:
        checkpoints: of the run.
        event: after which it can.
        flags: further ones, without which it would end in the same way.
    """
    steps = checkpoints.steps()
    flags = f"`resume`{flags} `workdir`={checkpoints.path.parent}"
    lines = [f"{event}; there is no checkpoint yet, and {flags} starts again at step 0"]
    if steps:
        lines = [f"{event}; the newest checkpoint is of step {steps[-1]}. Go on with {flags}"]
    if checkpoints.failures:
        lines.append(
            f"WARNING: {len(checkpoints.failures)} checkpoints could not be saved, the last one "
            f"because: {checkpoints.failures[-1]}"
        )
    return "\n".join(lines)


def print_lines(text: str) -> None:
    """Prints; in a cluster, with the number of the process before each line.

    Where losses are survived, all print to one place, and the first that is left speaks for all.
    """
    if can_survive() and not is_first():
        return
    text = with_flags(text)
    if num_processes() > 1:
        text = "\n".join(f"[{rank()}] {line}" for line in text.splitlines())
    print(printable(text), flush=True)
