"""What a configuration means here: with this environment, these files and these models."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_jax.cluster.devices import emulate_devices, find_devices
from hsi_jax.cluster.launchers import find_place
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES, Profile, make_plan, parse_profile
from hsi_jax.models import build_model, check_kind, find_trait, parse_options
from hsi_jax.run.figure_file import parse_figure_formats
from hsi_jax.run.tensorboard import check_tensorboard
from hsi_jax.session.checks import NAMED_SPLITS
from hsi_jax.session.config import Config
from hsi_jax.session.protocols import find_protocol
from hsi_jax.train.augmentation import parse_augmentation
from hsi_jax.train.tables import LOSSES, OPTIMIZERS, SCHEDULES

EMULATED = "4:2:1:1"  # the profile where none is given, on a CPU
MEASURED = "measured"


@dataclass(frozen=True)
class Resolved:
    """A configuration whose parts all exist.

    Attributes:
        config: as it was given.
        in_cluster: whether there is one process for each device, with real speeds.
        profile_name: the profile asked for, or the default.
        profile: the declared devices, or None where their speeds will be measured.
        model_options: of the architecture.
        augment: names of augmentations.
        figures: formats of the pictures.
    """

    config: Config
    in_cluster: bool
    profile_name: str
    profile: Profile | None
    model_options: dict[str, Any]
    augment: tuple[str, ...]
    figures: tuple[str, ...] = ("png",)


def resolve(config: Config, in_cluster: bool | None = None) -> Resolved:
    """Checks all that a configuration needs, before any long work starts.

    Args:
        config: of a run.
        in_cluster: whether it is to run with one process for each device; None asks the
            configuration and the environment.

    Raises:
        InputError: on a model, option, split or profile that is not there or cannot be used.
    """
    if in_cluster is None:
        in_cluster = bool(config.coordinator) or find_place() is not None
    _check_real_devices(config, in_cluster)
    if config.tensorboard:
        check_tensorboard()
    for name in find_protocol(config.protocol).files if config.protocol else ():
        config.path_of(name)
    if config.split not in NAMED_SPLITS and not Path(config.path_of("split")).is_file():
        raise InputError(
            f"--split={config.split}: give random, disjoint, polygons or a .npz or .mat file that "
            f"exists"
        )
    # Made once, for any number of classes, so that a mistake shows at once.
    options = parse_options(config.model_name, config.model_options)
    build_model(config.model_name, 2, options)
    for table, part in (
        (LOSSES, config.loss),
        (OPTIMIZERS, config.optimizer),
        (SCHEDULES, config.schedule),
    ):
        table.find(part)
    check_kind(config.model_name, "image" if config.is_image_set else "patch")
    name = config.profile
    if not find_trait(config.model_name, "trained_by_gradient"):
        _check_baseline(config, in_cluster)
        name = name or "1"
    if name is None:
        name = MEASURED if in_cluster else _default_profile()
    profile = None if name == MEASURED else parse_profile(name)
    if profile is not None:
        make_plan(config.scheme, profile, config.batch_size, config.first_microbatch_size)
    augment = parse_augmentation(config.augment)
    figures = parse_figure_formats(config.figures)
    return Resolved(config, in_cluster, name, profile, options, augment, figures)


def _check_baseline(config: Config, in_cluster: bool) -> None:
    """Checks that nothing is asked of a baseline that it cannot do."""
    problem = f"--model={config.model_name} is fitted by scikit-learn in one process, at once: "
    if in_cluster:
        raise InputError(f"{problem}start it with python -m experiments.run, without a cluster")
    if config.resume:
        raise InputError(f"{problem}there is nothing to resume; give --overwrite instead")
    if config.microbatch_size == "auto":
        raise InputError(f"{problem}leave out --microbatch_size=auto")
    for name in ("augment", "loss", "sampling"):
        if getattr(config, name) != getattr(Config, name):
            raise InputError(f"{problem}leave out --{name}")


def _default_profile() -> str:
    """Four devices emulated on a CPU; of accelerators one like share for each."""
    emulate_devices(len(EMULATED.split(":")))
    devices = find_devices()
    return EMULATED if devices[0].platform == "cpu" else ":".join("1" * len(devices))


def _check_real_devices(config: Config, in_cluster: bool) -> None:
    if in_cluster:
        return
    needs = {
        "profile": config.profile == MEASURED,
        "scheme": SCHEMES.find(config.scheme).retimed,
        "time_devices": config.time_devices,
    }
    for name in (name for name, needed in needs.items() if needed):
        raise InputError(
            f"--{name}={getattr(config, name)} needs a process for each device, because the "
            f"devices of one process have no times of their own; use python -m "
            f"experiments.launch, or --coordinator"
        )
    for name, unset in (("devices_per_process", 1), ("reduce", "auto")):
        if getattr(config, name) != unset:
            raise InputError(
                f"--{name}={getattr(config, name)} goes with several processes; use python -m "
                f"experiments.launch, or --coordinator, or leave it out (the devices of one "
                f"process are those of --profile)"
            )
