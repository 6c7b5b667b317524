"""The configuration of a run: one frozen value, checked before any work starts."""

import dataclasses
import difflib
import math
import operator
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hsi_jax.data.catalogue import CATALOGUE
from hsi_jax.data.image_catalogue import IMAGE_CATALOGUE
from hsi_jax.data.image_loader import FOLDER, TFDS_PREFIX
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES, make_plan, parse_profile
from hsi_jax.hetero.cluster import finds_cluster
from hsi_jax.models import MODELS, build_model, check_kind, parse_options
from hsi_jax.train.augmentation import AUGMENTATIONS, parse_augmentation
from hsi_jax.train.optimizer import OPTIMIZERS, SCHEDULES

MEASURED_SIZES = (4, 8, 16, 32, 64)  # microbatches of --microbatch_size=auto
SCENES = ("synthetic", *CATALOGUE, "file")
IMAGE_SETS = (*IMAGE_CATALOGUE, FOLDER)


def option(
    group,
    default,
    help,
    *,
    choices=(),
    kind=None,
    at_least=None,
    above=None,
    below=None,
    word="",
):
    """A field of `Config` that is also a flag; `kind` is needed where the default is None.

    Where there is a `word`, the value may be that instead of a number.
    """
    metadata = {
        "group": group,
        "help": help,
        "choices": choices,
        "kind": kind or type(default),
        "at_least": at_least,
        "above": above,
        "below": below,
        "word": word,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """All that decides a run; saved as config.json. The flags are made from these fields.

    Raises:
        InputError: on any value that cannot be used, or any two that contradict each other.
    """

    dataset: str = option(
        "Data",
        "synthetic",
        f"a scene ({', '.join(SCENES)}) or a set of images ({', '.join(IMAGE_SETS)}, or "
        f"{TFDS_PREFIX}NAME for any of TensorFlow Datasets)",
    )
    data_dir: str = option(
        "Data",
        "",
        "folder of the data's standard files; without it they are downloaded, if that is allowed, "
        "and kept by TensorFlow Datasets",
    )
    cube: str = option("Data", "", "with --dataset=file: the scene, .mat, .npy or .npz, 3-D")
    labels: str = option("Data", "", "with --dataset=file: its labels, 2-D, 0 = unlabelled")
    cube_variable: str = option("Data", "", "array in the cube's file, where it has several")
    labels_variable: str = option("Data", "", "array in the labels' file, where it has several")
    components: int | None = option(
        "Data", None, "principal components, 0 = all bands; default by model", kind=int, at_least=0
    )
    image_size: int | None = option(
        "Data", None, "side that images are resized to; default as they are", kind=int, at_least=1
    )
    augment: str = option(
        "Data", "", f"changes of the inputs in training, some of {','.join(AUGMENTATIONS)}"
    )
    feed: str = option(
        "Data",
        "auto",
        "where images are while training: on the devices, or sent for each step; auto: on the "
        "devices where they take at most a quarter of the memory",
        choices=("auto", "resident", "streamed"),
    )
    cache_mb: int = option("Data", 2048, "decoded images kept in memory, MiB", at_least=0)

    split: str = option(
        "Split", "random", "random, disjoint, official, or a FILE with maps train and test"
    )
    train_fraction: float | None = option(
        "Split",
        None,
        "part of each class to train on; default 0.1 of a scene, of images by set",
        kind=float,
        above=0,
        below=1,
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
    validation_fraction: float | None = option(
        "Split",
        None,
        "part of the training samples kept to choose the epoch; default 0.1, of images by set",
        kind=float,
        at_least=0,
        below=1,
    )

    model: str | None = option(
        "Model",
        None,
        f"network ({', '.join(MODELS)}), or package.module:factory of your own; default cnn2d for "
        f"a scene, resnet20 for images",
        kind=str,
    )
    patch_size: int | None = option(
        "Model", None, "side of a patch, odd; default by model", kind=int, at_least=1
    )
    model_options: str = option("Model", "", 'such as "features=(32, 32, 64); hidden=64"')

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
    hysteresis: int = option(
        "Devices",
        2,
        "timed steps in a row that must speak for moving adaptive shares, unless it saves 30 %",
        at_least=1,
    )
    time_devices: bool = option(
        "Devices", False, "time one step in --retime_every with every scheme, not only adaptive"
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
    microbatch_size: int | str = option(
        "Training",
        16,
        "samples of a microbatch, the atom of work; or auto: the fastest as measured",
        kind=int,
        at_least=1,
        word="auto",
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

    checkpoint_every: int = option(
        "Checkpoints",
        500,
        "steps between checkpoints, 0 = none but at the end, on SIGTERM and on Ctrl-C",
        at_least=0,
    )
    keep_checkpoints: int = option(
        "Checkpoints", 3, "how many are kept; each holds the best state as well", at_least=1
    )
    resume: bool = option(
        "Checkpoints", False, "go on from the newest sound checkpoint of the run in --workdir"
    )
    on_nonfinite: str = option(
        "Checkpoints",
        "stop",
        "what to do with a batch whose loss or gradient is not finite",
        choices=("stop", "skip"),
    )

    workdir: str = option("Output", "", "folder of the results; default runs/ and the time")
    overwrite: bool = option("Output", False, "replace an earlier run in --workdir")

    def __post_init__(self):
        _check_choices(self)
        _check_ranges(self)
        _check_data(self)
        _check_split(self)
        _check_model(self)
        parse_augmentation(self.augment)
        _check_cluster(self)
        _check_resume(self)
        if self.profile_name != "measured":
            profile = parse_profile(self.profile_name)
            make_plan(self.scheme, profile, self.batch_size, self.first_microbatch_size)

    def choose_workdir(self) -> str:
        """The folder asked for, or a new one under runs/ named after the time."""
        names = f"{_plain(self.dataset)}-{_plain(self.model_name)}"
        return self.workdir or f"runs/{names}-{datetime.now():%Y%m%d-%H%M%S}"

    @property
    def is_image_set(self) -> bool:
        """Whether the data are images, and not the pixels of a scene."""
        return self.dataset in IMAGE_SETS or self.dataset.startswith(TFDS_PREFIX)

    @property
    def model_name(self) -> str:
        """The network asked for, or the default."""
        return self.model or ("resnet20" if self.is_image_set else "cnn2d")

    @property
    def microbatch_sizes(self) -> list[int]:
        """The sizes that may be chosen: the one asked for, or several to be measured."""
        if self.microbatch_size != "auto":
            return [self.microbatch_size]
        return [size for size in MEASURED_SIZES if size <= self.batch_size] or [self.batch_size]

    @property
    def first_microbatch_size(self) -> int:
        """The size to begin with, before any is measured."""
        return self.microbatch_sizes[0]

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


def _check_model(config: Config) -> None:
    """Makes the model once for any number of classes, so that a mistake shows at once."""
    build_model(config.model_name, 2, parse_options(config.model_name, config.model_options))
    check_kind(config.model_name, "image" if config.is_image_set else "patch")


def _check_ranges(config: Config) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value and value == field.metadata["word"]:
            continue
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


def _plain(name: str) -> str:
    """A name without what has a meaning in paths."""
    return re.sub(r"[^\w.-]+", "_", name)


def _check_data(config: Config) -> None:
    if not config.is_image_set and config.dataset not in SCENES:
        names = [*SCENES, *IMAGE_SETS]
        near = difflib.get_close_matches(config.dataset, names)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(names)}"
        raise InputError(
            f"--dataset={config.dataset}: {hint}; or {TFDS_PREFIX}NAME of TensorFlow Datasets"
        )
    others = ("components", "patch_size") if config.is_image_set else ("image_size",)
    for name in others:
        if getattr(config, name) is not None:
            kind = "scenes" if config.is_image_set else "sets of images"
            raise InputError(f"--{name} goes with {kind}, not with --dataset={config.dataset}")
    if config.feed == "streamed" and not config.is_image_set:
        raise InputError("--feed=streamed goes with sets of images; a scene stays on the devices")
    if config.dataset == "file" and not (config.cube and config.labels):
        raise InputError("--dataset=file needs both --cube=FILE and --labels=FILE")
    if config.dataset == FOLDER and not config.data_dir:
        raise InputError("--dataset=folder needs --data_dir=FOLDER, with a folder for each class")
    for name in ("cube", "labels", "cube_variable", "labels_variable"):
        if getattr(config, name) and config.dataset != "file":
            raise InputError(f"--{name} goes with --dataset=file, not --dataset={config.dataset}")
    if config.data_dir and config.dataset in ("synthetic", "file"):
        raise InputError(f"--data_dir is of no use with --dataset={config.dataset}; leave it out")


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
    for name in ("profile", "scheme", "time_devices"):
        value = getattr(config, name)
        if value in ("measured", "adaptive", True) and not config.in_cluster:
            raise InputError(
                f"--{name}={value} needs a process for each device, because emulated devices have "
                f"no speeds of their own; use python -m experiments.launch, or --coordinator"
            )


def _check_resume(config: Config) -> None:
    if config.resume and config.overwrite:
        raise InputError("--resume and --overwrite exclude each other; give one")
    if config.resume and not config.workdir and not config.process_id:
        raise InputError("--resume needs --workdir=FOLDER of the run to go on with")


def _check_split(config: Config) -> None:
    if config.train_fraction is not None and config.train_per_class is not None:
        raise InputError("--train_fraction and --train_per_class exclude each other; give one")
    _check_split_kind(config)
    if config.split in ("random", "disjoint"):
        return
    if config.train_fraction is not None or config.train_per_class is not None:
        raise InputError(
            f"--split={config.split} already says which pixels to train on; leave out "
            f"--train_fraction and --train_per_class"
        )
    if config.split != "official" and not Path(config.split).is_file():
        raise InputError(
            f"--split={config.split}: give random, disjoint or a .npz or .mat file that exists"
        )


def _check_split_kind(config: Config) -> None:
    if config.is_image_set and config.split not in ("random", "official"):
        raise InputError(f"--split={config.split}: images have the splits random and official")
    if config.split == "official" and not config.is_image_set:
        raise InputError("--split=official goes with sets of images; give random or disjoint")
