"""The options of a run: one frozen value that checks its own fields.

What needs files, models or the environment is checked by `hsi_jax.session.resolve`.
"""

import dataclasses
import re
from dataclasses import dataclass
from datetime import datetime

from hsi_jax.data.public.image_catalogue import TFDS_PREFIX
from hsi_jax.data.scene.read_options import Reading
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.models import MODELS, find_trait
from hsi_jax.options import check_options, option
from hsi_jax.run.figure_file import FIGURE_CHOICES, parse_figure_formats
from hsi_jax.run.lock import new_folder
from hsi_jax.session.checks import IMAGE_SETS, READING_OPTIONS, SCENES, check_together
from hsi_jax.session.protocols import PROTOCOLS, check_protocol, find_protocol
from hsi_jax.train.recipe import Recipe
from hsi_jax.train.tables import AUGMENTATIONS, LOSSES, OPTIMIZERS, SAMPLINGS, SCHEDULES

MEASURED_SIZES = (4, 8, 16, 32, 64)  # microbatches of --microbatch_size=auto

_RECIPE = Recipe()


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
        path=True,
    )
    cube: str = option(
        "Data",
        "",
        "with --dataset=file: the scene, .mat, .npy, .npz, HDF5, GeoTIFF or ENVI; or several "
        "GeoTIFF files with commas, or a pattern in quotes",
        path=True,
    )
    labels: str = option(
        "Data",
        "",
        "with --dataset=file: its labels, such a file, 2-D, 0 = unlabelled; or polygons or points, "
        ".geojson, .shp or .gpkg",
        path=True,
    )
    cube_variable: str = option("Data", "", "array in the cube's file, where it has several")
    labels_variable: str = option("Data", "", "array in the labels' file, where it has several")
    labels_attribute: str = option(
        "Data", "", "attribute of the polygons that names the class; default one called so"
    )
    labels_touched: bool = option(
        "Data",
        False,
        "polygons label all pixels that they touch, not those with their centre in it",
    )
    unlabelled: str = option(
        "Data",
        "",
        "ids of pixels without a class, such as 0,255, or none; default 0, NaN and ids below 0",
    )
    nodata: str = option(
        "Data",
        "",
        "values of pixels without data, such as -9999, nan for all that is not finite; those that "
        "the file declares are known",
    )
    drop_bands: str = option(
        "Data",
        "",
        "bands to leave out, counted from 0, such as 103-107,219; constant: those of one value "
        "alone; bad: those that the file declares as bad",
    )
    band_axis: str = option(
        "Data",
        "auto",
        "axis of the cube along which the bands lie; auto: as the shape of the labels says",
        choices=("auto", "0", "1", "2"),
    )
    keep_fill_values: bool = option(
        "Data", False, "take values that look like no data as data, even if they spoil the scaling"
    )
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

    protocol: str = option(
        "Split",
        "",
        f"a scene and split of papers, instead of --dataset and the flags below: "
        f"{', '.join(PROTOCOLS)}; experiments.datasets --protocols tells of each",
    )
    split: str = option(
        "Split",
        "random",
        "random, disjoint, polygons, official, or a FILE with maps train and test",
        path=True,
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
    guard: int | None = option(
        "Split",
        None,
        "with --split=disjoint: pixels kept free between training and test; default half a patch",
        kind=int,
        at_least=0,
    )
    validation_fraction: float | None = option(
        "Split",
        None,
        "part of the training samples kept to choose the epoch; default 0.1, of images by set",
        kind=float,
        at_least=0,
        below=1,
    )

    as_published: bool = option(
        "Split",
        False,
        "as many papers do, let test pixels have a say: fit scaling and components on the whole "
        "scene, and choose the epoch on test pixels; what validation would choose is told as well",
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
        "speeds such as 4:2:1:1, a preset, a .json file, or measured; default 4:2:1:1 on a CPU, "
        "like shares on accelerators, measured in a cluster",
        kind=str,
        path=True,
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
    check_every: int = option(
        "Devices",
        100,
        "with several processes: steps between comparisons of the parameters of all devices, "
        "which must stay equal; 0 for none but those before each checkpoint",
        at_least=0,
    )
    reduce: str = option(
        "Devices",
        "auto",
        "with several processes: who adds their sums: one program over all devices (device), or "
        "the processes themselves (host), whose platforms may then be unlike, such as a GPU here "
        "and a CPU there; auto takes host where they are unlike",
        choices=("auto", "device", "host"),
    )
    kernels: str = option(
        "Devices",
        "xla",
        "who computes convolutions on a CPU: XLA, or kernels of our own (native) that a C++ "
        "compiler builds for this processor at the first use; they are faster and differ in the "
        "last bits",
        choices=("xla", "native"),
    )
    devices_per_process: int = option(
        "Devices",
        1,
        "with several processes: devices of this one, such as the GPUs that it sees; a CPU is "
        "divided into so many. Processes may have different numbers. A --profile has all devices, "
        "process by process",
        at_least=1,
    )
    coordinator: str = option(
        "Devices", "", "host:port of process 0; not needed under srun, mpirun or torchrun"
    )
    num_processes: int | None = option(
        "Devices", None, "with --coordinator: number of processes", kind=int, at_least=1
    )
    process_id: int | None = option(
        "Devices", None, "with --coordinator: number of this one", kind=int, at_least=0
    )

    batch_size: int = option(
        "Training", _RECIPE.batch_size, "samples per step, over all devices", at_least=1
    )
    microbatch_size: int | str = option(
        "Training",
        _RECIPE.microbatch_size,
        "samples of a microbatch, the atom of work; or auto: the fastest as measured",
        kind=int,
        at_least=1,
        word="auto",
    )
    epochs: int = option("Training", _RECIPE.epochs, "passes over the training pixels", at_least=1)
    steps: int | None = option("Training", None, "steps, instead of --epochs", kind=int, at_least=1)
    optimizer: str = option("Training", _RECIPE.optimizer, "optimiser", choices=OPTIMIZERS)
    learning_rate: float = option(
        "Training", _RECIPE.learning_rate, "highest learning rate", above=0
    )
    schedule: str = option(
        "Training", _RECIPE.schedule, "course of the learning rate", choices=SCHEDULES
    )
    momentum: float = option("Training", _RECIPE.momentum, "momentum of sgd", at_least=0, below=1)
    weight_decay: float = option(
        "Training", _RECIPE.weight_decay, "weight decay, of kernels only", at_least=0
    )
    loss: str = option(
        "Training",
        _RECIPE.loss,
        "loss of a sample; weighted: all classes count alike; focal: hard samples count more",
        choices=LOSSES,
    )
    sampling: str = option(
        "Training",
        _RECIPE.sampling,
        "shuffled: every sample once an epoch; balanced: every class equally often",
        choices=SAMPLINGS,
    )
    seed: int = option(
        "Training",
        _RECIPE.seed,
        "of split, parameters, batches and dropout",
        at_least=0,
        below=2**32,
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

    figures: str = option("Output", "png", f"formats of the pictures, {FIGURE_CHOICES}")
    tensorboard: bool = option(
        "Output", False, "write scalars and pictures for TensorBoard as well, to tensorboard/"
    )
    workdir: str = option(
        "Output", "", "folder of the results; default runs/ and the time", path=True
    )
    overwrite: bool = option("Output", False, "replace an earlier run in --workdir")

    def __post_init__(self):
        check_options(self)
        if self.protocol:
            check_protocol(self.protocol, self)
        parse_figure_formats(self.figures)
        if self.patch_size is not None and self.patch_size % 2 == 0:
            raise InputError(f"--patch_size={self.patch_size}: give an odd number")
        check_together(self)
        _ = self.recipe  # checks what goes together in training

    def choose_workdir(self) -> str:
        """The folder asked for; or one under runs/ named after the time, which is made.

        Two runs that begin in one second get two folders.
        """
        if self.workdir:
            return self.workdir
        names = f"{_plain(self.dataset)}-{_plain(self.model_name)}"
        return str(new_folder(f"runs/{names}-{datetime.now():%Y%m%d-%H%M%S}"))

    def path_of(self, name: str) -> str:
        """The path that an option holds; a protocol's own file is looked for in --data_dir.

        Raises:
            InputError: if that is not there.
        """
        if self.protocol and name in (protocol := find_protocol(self.protocol)).files:
            return protocol.find(name, self.data_dir)
        return getattr(self, name)

    @property
    def is_image_set(self) -> bool:
        """Whether the data are images, and not the pixels of a scene."""
        return self.dataset in IMAGE_SETS or self.dataset.startswith(TFDS_PREFIX)

    @property
    def reading(self) -> Reading:
        """What the user says of a scene's arrays."""
        return Reading.parse(**{name: getattr(self, name) for name in READING_OPTIONS})

    @property
    def model_name(self) -> str:
        """The network asked for, or the default."""
        return self.model or ("resnet20" if self.is_image_set else "cnn2d")

    @property
    def split_guard(self) -> int:
        """Pixels that --split=disjoint keeps free between training and test."""
        if self.guard is not None:
            return self.guard
        size: int = self.patch_size or find_trait(self.model_name, "default_patch_size")
        return size // 2

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
    def recipe(self) -> Recipe:
        """How the parameters are learnt; before a size is chosen, with the first one."""
        names = {field.name for field in dataclasses.fields(Recipe)} - {"microbatch_size"}
        return Recipe(
            microbatch_size=self.first_microbatch_size,
            **{name: getattr(self, name) for name in names},
        )


def _plain(name: str) -> str:
    """A name without what has a meaning in paths."""
    return re.sub(r"[^\w.-]+", "_", name)
