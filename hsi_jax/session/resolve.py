"""What a configuration means here: with this environment, these files and these models."""

from dataclasses import dataclass
from typing import Any

from hsi_jax.cluster.devices import emulate_devices, find_devices
from hsi_jax.cluster.launchers import find_place
from hsi_jax.data.splits.table import find_split
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES, Profile, make_plan, parse_profile
from hsi_jax.models import build_model, check_kind, find_trait, parse_options
from hsi_jax.options import defaults, values
from hsi_jax.run.figure_file import parse_figure_formats
from hsi_jax.run.trackers import TRACKERS
from hsi_jax.session.collection_options import BY_TABLE, COLLECTION
from hsi_jax.session.options import RunOptions
from hsi_jax.session.protocols import PROTOCOLS
from hsi_jax.session.starting import begin_with
from hsi_jax.train.augmentation import parse_augmentation
from hsi_jax.train.tables import LOSSES, OPTIMIZERS, SCHEDULES
from hsi_jax.trained.starting import Start

EMULATED = "4:2:1:1"  # the profile where none is given, on a CPU
MEASURED = "measured"


@dataclass(frozen=True)
class Resolved:
    """A configuration whose parts all exist.

    Attributes:
        options: as it was given.
        in_cluster: whether there is one process for each device, with real speeds.
        profile_name: the profile asked for, or the default.
        profile: the declared devices, or None where their speeds will be measured.
        model_options: of the architecture.
        augment: names of augmentations.
        start: the model whose network training starts from, or None.
        figures: formats of the pictures.
    """

    options: RunOptions
    in_cluster: bool
    profile_name: str
    profile: Profile | None
    model_options: dict[str, Any]
    augment: tuple[str, ...]
    start: Start | None = None
    figures: tuple[str, ...] = ("png",)


def resolve(
    options: RunOptions, in_cluster: bool | None = None, start: Start | None = None
) -> Resolved:
    """Checks all that a run needs, before any long work starts.

    Args:
        options: of a run.
        in_cluster: whether it is to run with one process for each device; None asks the
            configuration and the environment.
        start: the model that training starts from, instead of that of `init`.

    Raises:
        InputError: on a model, option, split or profile that is not there or cannot be used.
    """
    if in_cluster is None:
        in_cluster = bool(options.devices.coordinator) or find_place() is not None
    _check_real_devices(options, in_cluster)
    options, start = begin_with(options, start)
    for name in options.output.trackers:
        TRACKERS.find(name).check()
    for name in PROTOCOLS.find(options.split.protocol).files if options.split.protocol else ():
        options.path_of(name)
    if options.split.split not in ("official", *BY_TABLE) and not options.split.by_lists:
        find_split(options.split.split, options.path_of("split"))
    # Made once, for any number of classes, so that a mistake shows at once.
    model_options = parse_options(options.model_name, options.model.model_options)
    build_model(options.model_name, 2, model_options)
    recipe = options.recipe
    for table, part in (
        (LOSSES, recipe.loss),
        (OPTIMIZERS, recipe.optimizer),
        (SCHEDULES, recipe.schedule),
    ):
        table.find(part)
    check_kind(options.model_name, "image" if options.data.is_image_set else "patch")
    name = options.devices.profile
    if not find_trait(options.model_name, "trained_by_gradient"):
        _check_baseline(options, in_cluster)
        name = name or "1"
    if name is None:
        name = MEASURED if in_cluster else _default_profile()
    profile = None if name == MEASURED else parse_profile(name)
    if profile is not None:
        for scheme in (options.devices.scheme, *["even"] * options.devices.measure_even):
            make_plan(scheme, profile, recipe.batch_size, recipe.microbatch_sizes[0])
    augment = parse_augmentation(options.data.augment)
    figures = parse_figure_formats(options.output.figures)
    return Resolved(options, in_cluster, name, profile, model_options, augment, start, figures)


def _check_baseline(options: RunOptions, in_cluster: bool) -> None:
    """Checks that nothing is asked of a baseline that it cannot do."""
    problem = f"`model`={options.model_name} is fitted by scikit-learn in one process, at once: "
    if options.data.dataset == COLLECTION:
        raise InputError(f"{problem}it needs one scene in memory, not `dataset`=scenes")
    if in_cluster:
        raise InputError(f"{problem}start it with python -m experiments.run, without a cluster")
    if options.checkpoints.resume:
        raise InputError(f"{problem}there is nothing to resume; give `overwrite` instead")
    if options.recipe.microbatch_size == "auto":
        raise InputError(f"{problem}leave out `microbatch_size`=auto")
    for name in ("augment", "loss", "sampling", "task", "init"):
        if values(options)[name] != defaults(RunOptions)[name]:
            raise InputError(f"{problem}leave out `{name}`")


def _default_profile() -> str:
    """Four devices emulated on a CPU; of accelerators one like share for each."""
    emulate_devices(len(EMULATED.split(":")))
    devices = find_devices()
    return EMULATED if devices[0].platform == "cpu" else ":".join("1" * len(devices))


def _check_real_devices(options: RunOptions, in_cluster: bool) -> None:
    if in_cluster:
        return
    needs = {
        "profile": options.devices.profile == MEASURED,
        "scheme": SCHEMES.find(options.devices.scheme).retimed,
        "time_devices": options.devices.time_devices,
        "measure_even": options.devices.measure_even,
    }
    for name in (name for name, needed in needs.items() if needed):
        raise InputError(
            f"`{name}`={values(options)[name]} needs a process for each device, because the "
            f"devices of one process have no times of their own; use python -m "
            f"experiments.launch, or `coordinator`"
        )
    for name, unset in (("devices_per_process", 1), ("reduce", "auto")):
        if values(options)[name] != unset:
            raise InputError(
                f"`{name}`={values(options)[name]} goes with several processes; use python -m "
                f"experiments.launch, or `coordinator`, or leave it out (the devices of one "
                f"process are those of `profile`)"
            )
