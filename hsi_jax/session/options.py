"""The options of a run: one frozen value, with a group of options for each subject.

What needs files, models or the environment is checked by `hsi_jax.session.resolve`.
"""

import glob
import os
import re
from dataclasses import dataclass
from typing import Any

from hsi_jax import options
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.models import MODELS, find_trait
from hsi_jax.options import check_options, group, option
from hsi_jax.run.figure_file import FIGURE_CHOICES, parse_figure_formats
from hsi_jax.session.checks import check_together
from hsi_jax.session.data_options import DataOptions, SplitOptions
from hsi_jax.session.protocols import PROTOCOLS, check_protocol
from hsi_jax.train.recipe import Recipe


@dataclass(frozen=True)
class ModelOptions:
    """Which network learns.

    Raises:
        InputError: on a value that cannot be used.
    """

    model: str | None = option(
        None,
        f"network ({', '.join(MODELS)}), or package.module:factory of your own; default cnn2d for "
        f"a scene, resnet20 for images",
        kind=str,
    )
    patch_size: int | None = option(
        None,
        "side of a patch, odd; default by model",
        kind=int,
        at_least=1,
    )
    model_options: str = option(
        "",
        'such as "features=(32, 32, 64); hidden=64"',
    )

    def __post_init__(self):
        check_options(self)
        if self.patch_size is not None and self.patch_size % 2 == 0:
            raise InputError(f"`patch_size`={self.patch_size}: give an odd number")


@dataclass(frozen=True)
class DeviceOptions:
    """The devices, and how the work is divided over them.

    Raises:
        InputError: on a value that cannot be used.
    """

    profile: str | None = option(
        None,
        "speeds such as 4:2:1:1, a preset, a .json file, or measured; default 4:2:1:1 on a CPU, "
        "like shares on accelerators, measured in a cluster",
        kind=str,
        path=True,
        may_change=True,
    )
    scheme: str = option(
        "balanced",
        "shares and weights",
        choices=tuple(SCHEMES),
    )
    retime_every: int = option(
        20,
        "steps between the timed steps of `scheme`=adaptive",
        at_least=1,
        may_change=True,
    )
    dead_band: float = option(
        0.05,
        "error of a measured time, as a fraction, that adaptive shares always take for noise; they "
        "allow for more where the measured times spread more",
        at_least=0,
        below=1,
        may_change=True,
    )
    hysteresis: int = option(
        2,
        "timed steps in a row that must speak for moving adaptive shares",
        at_least=1,
        may_change=True,
    )
    time_devices: bool = option(
        False,
        "time one step in `retime_every` with every scheme, not only adaptive",
        may_change=True,
    )
    measure_even: bool = option(
        False,
        "before training, also time some steps with even shares, on copies of the state",
        may_change=True,
    )
    check_every: int = option(
        100,
        "with several processes: steps between comparisons of the parameters of all devices, "
        "which must stay equal; 0 for none but those before each checkpoint",
        at_least=0,
        may_change=True,
    )
    reduce: str = option(
        "auto",
        "with several processes: who adds their sums: one program over all devices (device), or "
        "the processes themselves (host), whose platforms may then be unlike, such as a GPU here "
        "and a CPU there; auto takes host where they are unlike",
        choices=("auto", "device", "host"),
        may_change=True,
    )
    kernels: str = option(
        "xla",
        "who computes convolutions on a CPU: XLA, or kernels of our own (native) that a C++ "
        "compiler builds for this processor at the first use; they are faster and differ in the "
        "last bits",
        choices=("xla", "native"),
    )
    devices_per_process: int = option(
        1,
        "with several processes: devices of this one, such as the GPUs that it sees; a CPU is "
        "divided into so many. Processes may have different numbers. A `profile` has all devices, "
        "process by process",
        at_least=1,
        may_change=True,
    )
    coordinator: str = option(
        "",
        "host:port of process 0; not needed under srun, mpirun or torchrun",
        may_change=True,
    )
    num_processes: int | None = option(
        None,
        "with `coordinator`: number of processes",
        kind=int,
        at_least=1,
        may_change=True,
    )
    process_id: int | None = option(
        None,
        "with `coordinator`: number of this one",
        kind=int,
        at_least=0,
        may_change=True,
    )

    def __post_init__(self):
        check_options(self)
        given = [n for n in ("num_processes", "process_id") if getattr(self, n) is not None]
        if self.coordinator and len(given) < 2:
            raise InputError("`coordinator` needs `num_processes` and `process_id` as well")
        if given and not self.coordinator:
            raise InputError(f"`{given[0]}` goes with `coordinator`=HOST:PORT")
        if self.coordinator and self.process_id >= self.num_processes:  # pyright: ignore
            raise InputError(
                f"`process_id`={self.process_id}: give a number below "
                f"`num_processes`={self.num_processes}"
            )


@dataclass(frozen=True)
class CheckpointOptions:
    """When the state is saved, and when training goes on from it.

    Raises:
        InputError: on a value that cannot be used.
    """

    checkpoint_every: int = option(
        500,
        "steps between checkpoints, 0 = none but at the end, on SIGTERM and on Ctrl-C",
        at_least=0,
        may_change=True,
    )
    keep_checkpoints: int = option(
        3,
        "how many are kept; each holds the best state as well",
        at_least=1,
        may_change=True,
    )
    resume: bool = option(
        False,
        "go on from the newest sound checkpoint of the run in `workdir`",
        may_change=True,
    )
    on_nonfinite: str = option(
        "stop",
        "what to do with a batch whose loss or gradient is not finite",
        choices=("stop", "skip"),
        may_change=True,
    )

    def __post_init__(self):
        check_options(self)


@dataclass(frozen=True)
class OutputOptions:
    """What a run writes, and where.

    Raises:
        InputError: on a value that cannot be used.
    """

    figures: str = option(
        "png",
        f"formats of the pictures, {FIGURE_CHOICES}",
        may_change=True,
    )
    tensorboard: bool = option(
        False,
        "write scalars and pictures for TensorBoard as well, to tensorboard/",
        may_change=True,
    )
    workdir: str = option(
        "",
        "folder of the results; default runs/ and the time",
        path=True,
        may_change=True,
    )
    overwrite: bool = option(
        False,
        "replace an earlier run in `workdir`",
        may_change=True,
    )

    def __post_init__(self):
        check_options(self)
        parse_figure_formats(self.figures)


@dataclass(frozen=True)
class RunOptions:
    """All that decides a run; config.json holds it by the names of the options.

    Raises:
        InputError: on a value that cannot be used, or on two that contradict each other.
    """

    data: DataOptions = group(DataOptions, "Data")
    split: SplitOptions = group(SplitOptions, "Split")
    model: ModelOptions = group(ModelOptions, "Model")
    devices: DeviceOptions = group(DeviceOptions, "Devices")
    recipe: Recipe = group(Recipe, "Training")
    checkpoints: CheckpointOptions = group(CheckpointOptions, "Checkpoints")
    output: OutputOptions = group(OutputOptions, "Output")

    def __post_init__(self):
        given, unset = options.values(self), options.defaults(RunOptions)
        if self.split.protocol:
            check_protocol(self.split.protocol, given, unset)
        check_together(given, unset, images=self.data.is_image_set)

    @classmethod
    def of(cls, **given: Any) -> "RunOptions":
        """Options by their names alone, whatever their group: `of(dataset="salinas_a", seed=1)`.

        Raises:
            InputError: on a name that is no option, or a value that cannot be used.
        """
        return options.from_values(cls, given)

    def path_of(self, name: str) -> str:
        """The path that an option holds; a protocol's own file is looked for in `data_dir`.

        Raises:
            InputError: if that is not there.
        """
        protocol = PROTOCOLS.find(self.split.protocol) if self.split.protocol else None
        if protocol and name in protocol.files:
            return protocol.find(name, self.data.data_dir)
        return options.values(self)[name]

    def to_json(self) -> dict[str, Any]:
        """The options by name, with paths that mean the same in every folder."""
        kept = options.values(self)
        for field, _, _ in options.declared(RunOptions):
            if field.metadata["path"]:
                kept[field.name] = _whole(kept[field.name], field.name in ("split", "profile"))
        return kept

    @property
    def model_name(self) -> str:
        """The network asked for, or the default."""
        return self.model.model or ("resnet20" if self.data.is_image_set else "cnn2d")

    @property
    def guard(self) -> int:
        """Pixels that a disjoint split keeps free between training and test."""
        if self.split.guard is not None:
            return self.split.guard
        size: int = self.model.patch_size or find_trait(self.model_name, "default_patch_size")
        return size // 2


def _whole(text: str | None, may_be_name: bool) -> str | None:
    """A path, pattern or list of paths, each from the root; any other text as it is."""
    if not text or (may_be_name and not re.search(r"[./\\]", text)):
        return text
    parts = text.split(",")
    if not any(glob.glob(part) for part in parts):
        return text
    return ",".join(os.path.abspath(part) for part in parts)
