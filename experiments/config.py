"""The configuration of a run: one frozen value, checked before any work starts."""

import dataclasses
import math
import operator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hsi_jax.data.catalogue import CATALOGUE
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES, make_plan, parse_profile
from hsi_jax.hetero.cluster import finds_cluster
from hsi_jax.models import MODELS, parse_options
from hsi_jax.train.optimizer import OPTIMIZERS, SCHEDULES

DATASETS = ("synthetic", *CATALOGUE, "file")


def option(group, default, help, *, choices=(), kind=None, at_least=None, above=None, below=None):
    """A field of `Config` that is also a flag; `kind` is needed where the default is None."""
    metadata = {
        "group": group,
        "help": help,
        "choices": choices,
        "kind": kind or type(default),
        "at_least": at_least,
        "above": above,
        "below": below,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """All that decides a run; saved as config.json. The flags are made from these fields.

    Raises:
        InputError: on any value that cannot be used, or any two that contradict each other.
    """

    dataset: str = option("Data", "synthetic", "scene to classify", choices=DATASETS)
    data_dir: str = option("Data", "", "folder of the scene's standard .mat files")
    cube: str = option("Data", "", "with --dataset=file: the scene, .mat, .npy or .npz, 3-D")
    labels: str = option("Data", "", "with --dataset=file: its labels, 2-D, 0 = unlabelled")
    cube_variable: str = option("Data", "", "array in the cube's file, where it has several")
    labels_variable: str = option("Data", "", "array in the labels' file, where it has several")
    components: int | None = option(
        "Data", None, "principal components, 0 = all bands; default by model", kind=int, at_least=0
    )

    split: str = option("Split", "random", "random, disjoint, or a FILE with maps train and test")
    train_fraction: float | None = option(
        "Split", None, "part of each class to train on; default 0.1", kind=float, above=0, below=1
    )
    train_per_class: int | None = option(
        "Split", None, "pixels of each class, instead of a fraction", kind=int, at_least=1
    )
    small_classes: str = option(
        "Split",
        "error",
        "what to do with classes smaller than --train_per_class",
        choices=("error", "half"),
    )
    block_size: int = option("Split", 8, "side of the blocks of --split=disjoint", at_least=1)
    validation_fraction: float = option(
        "Split", 0.1, "part of the training pixels kept to choose the epoch", at_least=0, below=1
    )

    model: str = option("Model", "cnn2d", "network", choices=tuple(MODELS))
    patch_size: int | None = option(
        "Model", None, "side of a patch, odd; default by model", kind=int, at_least=1
    )
    model_options: str = option("Model", "", 'sizes, such as "features=(32, 32, 64); hidden=64"')

    profile: str | None = option(
        "Devices",
        None,
        "speeds such as 4:2:1:1, a preset, a .json file, or measured; default 4:2:1:1 emulated, "
        "measured in a cluster",
        kind=str,
    )
    scheme: str = option("Devices", "balanced", "shares and weights", choices=SCHEMES)
    retime_every: int = option(
        "Devices", 20, "steps between the timed steps of --scheme=adaptive", at_least=1
    )
    dead_band: float = option(
        "Devices",
        0.05,
        "error of a measured time, as a fraction, that adaptive shares take for noise",
        at_least=0,
        below=1,
    )
    coordinator: str = option(
        "Devices", "", "host:port of process 0; not needed under SLURM or Open MPI"
    )
    num_processes: int | None = option(
        "Devices", None, "with --coordinator: processes, one for each device", kind=int, at_least=1
    )
    process_id: int | None = option(
        "Devices", None, "with --coordinator: number of this one", kind=int, at_least=0
    )

    batch_size: int = option("Training", 128, "samples per step, over all devices", at_least=1)
    microbatch_size: int = option(
        "Training", 16, "samples of a microbatch, the atom of work", at_least=1
    )
    epochs: int = option("Training", 40, "passes over the training pixels", at_least=1)
    steps: int | None = option("Training", None, "steps, instead of --epochs", kind=int, at_least=1)
    optimizer: str = option("Training", "adam", "optimiser", choices=OPTIMIZERS)
    learning_rate: float = option("Training", 0.001, "highest learning rate", above=0)
    schedule: str = option("Training", "cosine", "course of the learning rate", choices=SCHEDULES)
    momentum: float = option("Training", 0.9, "momentum of sgd", at_least=0, below=1)
    weight_decay: float = option("Training", 0.0, "weight decay, of kernels only", at_least=0)
    seed: int = option(
        "Training", 0, "of split, parameters, batches and dropout", at_least=0, below=2**32
    )

    workdir: str = option("Output", "", "folder of the results; default runs/ and the time")
    overwrite: bool = option("Output", False, "replace an earlier run in --workdir")

    def __post_init__(self):
        _check_choices(self)
        _check_ranges(self)
        _check_data(self)
        _check_split(self)
        parse_options(self.model, self.model_options)
        _check_cluster(self)
        if self.profile_name != "measured":
            profile = parse_profile(self.profile_name)
            make_plan(self.scheme, profile, self.batch_size, self.microbatch_size)

    def choose_workdir(self) -> str:
        """The folder asked for, or a new one under runs/ named after the time."""
        return self.workdir or f"runs/{self.dataset}-{self.model}-{datetime.now():%Y%m%d-%H%M%S}"

    @property
    def in_cluster(self) -> bool:
        """Whether this is one of several processes, one for each device."""
        return bool(self.coordinator) or finds_cluster()

    @property
    def profile_name(self) -> str:
        """The profile asked for, or the default."""
        default = "measured" if self.in_cluster else "4:2:1:1"
        return default if self.profile is None else self.profile


def _check_choices(config: Config) -> None:
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata["choices"]
        if choices and value not in choices:
            raise InputError(f"--{field.name}={value}: choose one of {', '.join(choices)}")


def _check_ranges(config: Config) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        for bound, holds in _BOUNDS.items():
            limit = field.metadata[bound]
            if value is not None and limit is not None and not holds(value, limit):
                words = f"{bound.replace('_', ' ')} {limit}"
                raise InputError(f"--{field.name}={value}: give a number {words}")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{field.name}={value}: give a finite number")
    if config.patch_size is not None and config.patch_size % 2 == 0:
        raise InputError(f"--patch_size={config.patch_size}: give an odd number")


_BOUNDS = {"at_least": operator.ge, "above": operator.gt, "below": operator.lt}


def _check_data(config: Config) -> None:
    if config.dataset == "file" and not (config.cube and config.labels):
        raise InputError("--dataset=file needs both --cube=FILE and --labels=FILE")
    if config.dataset in CATALOGUE and not config.data_dir:
        raise InputError(
            f"--dataset={config.dataset} needs --data_dir=FOLDER with {_files(config.dataset)}"
        )
    for name in ("cube", "labels", "cube_variable", "labels_variable"):
        if getattr(config, name) and config.dataset != "file":
            raise InputError(f"--{name} goes with --dataset=file, not --dataset={config.dataset}")
    if config.data_dir and config.dataset not in CATALOGUE:
        raise InputError(f"--data_dir is of no use with --dataset={config.dataset}; leave it out")


def _files(dataset: str) -> str:
    info = CATALOGUE[dataset]
    return f"{info.cube_file} and {info.label_file} (from {info.page})"


def _check_cluster(config: Config) -> None:
    given = [name for name in ("num_processes", "process_id") if getattr(config, name) is not None]
    if config.coordinator and len(given) < 2:
        raise InputError("--coordinator needs --num_processes and --process_id as well")
    if given and not config.coordinator:
        raise InputError(f"--{given[0]} goes with --coordinator=HOST:PORT")
    if config.coordinator and config.process_id >= config.num_processes:
        raise InputError(
            f"--process_id={config.process_id}: give a number below --num_processes="
            f"{config.num_processes}"
        )
    for name, value in (("profile", config.profile), ("scheme", config.scheme)):
        if value in ("measured", "adaptive") and not config.in_cluster:
            raise InputError(
                f"--{name}={value} needs a process for each device, because emulated devices have "
                f"no speeds of their own; use python -m experiments.launch, or --coordinator"
            )


def _check_split(config: Config) -> None:
    if config.train_fraction is not None and config.train_per_class is not None:
        raise InputError("--train_fraction and --train_per_class exclude each other; give one")
    if config.split in ("random", "disjoint"):
        return
    if config.train_fraction is not None or config.train_per_class is not None:
        raise InputError(
            f"--split={config.split} already says which pixels to train on; leave out "
            f"--train_fraction and --train_per_class"
        )
    if not Path(config.split).is_file():
        raise InputError(
            f"--split={config.split}: give random, disjoint or a .npz or .mat file that exists"
        )
