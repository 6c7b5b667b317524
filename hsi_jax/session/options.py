"""The options of a run: one frozen value, with a group of options for each subject.

What needs files, models or the environment is checked by `hsi_jax.session.resolve`.
"""

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hsi_jax import options
from hsi_jax.data.splits.name_lists import SUFFIX as LIST_SUFFIX
from hsi_jax.errors import InputError
from hsi_jax.models import Model, find_trait
from hsi_jax.options import check_options, group, option
from hsi_jax.run.figure_file import FIGURE_CHOICES, parse_figure_formats
from hsi_jax.session.collection_options import COLLECTION, CollectionOptions, check_collection
from hsi_jax.session.data_options import DataOptions, SplitOptions
from hsi_jax.session.device_options import DeviceOptions, ModelOptions
from hsi_jax.session.learning_options import LearningOptions, check_learning
from hsi_jax.session.protocols import PROTOCOLS, check_protocol
from hsi_jax.train.masking import Masking
from hsi_jax.train.recipe import Recipe


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
    track: str = option(
        "",
        "trackers that get them too, between commas: tensorboard, mlflow, wandb, or "
        "package.module:Class; they write to the folder of the run",
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

    @property
    def trackers(self) -> tuple[str, ...]:
        """Names of `hsi_jax.run.trackers.TRACKERS`."""
        named = [name.strip() for name in self.track.split(",") if name.strip()]
        return tuple(dict.fromkeys(["tensorboard"] * self.tensorboard + named))


@dataclass(frozen=True)
class RunOptions:
    """All that decides a run; config.json holds it by the names of the options.

    Raises:
        InputError: on a value that cannot be used, or on two that contradict each other.
    """

    data: DataOptions = group(DataOptions, "Data")
    split: SplitOptions = group(SplitOptions, "Split")
    collection: CollectionOptions = group(CollectionOptions, "Scenes")
    model: ModelOptions = group(ModelOptions, "Model")
    devices: DeviceOptions = group(DeviceOptions, "Devices")
    recipe: Recipe = group(Recipe, "Training")
    learning: LearningOptions = group(LearningOptions, "Learning")
    masking: Masking = group(Masking, "Learning")
    checkpoints: CheckpointOptions = group(CheckpointOptions, "Checkpoints")
    output: OutputOptions = group(OutputOptions, "Output")

    def __post_init__(self):
        given, unset = options.values(self), options.defaults(RunOptions)
        if self.split.protocol:
            check_protocol(self.split.protocol, given, unset)
        check_collection(given, unset)
        _check_together(given, unset, images=self.data.is_image_set)
        check_learning(given, unset, images=self.data.is_image_set)

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
            value = kept[field.name]
            if callable(value):  # a part that was given itself, in Python
                kept[field.name] = f"{value.__module__}:{getattr(value, '__qualname__', value)}"
            if field.metadata["path"]:
                kept[field.name] = _whole(kept[field.name], field.name in ("split", "profile"))
        return kept

    @property
    def model_name(self) -> Model:
        """The network asked for, or the default: its name, or what makes it."""
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


def _check_together(given: Mapping[str, Any], unset: Mapping[str, Any], *, images: bool) -> None:
    """Checks options of different groups; each group has checked its own.

    Args:
        given: the options of a run, by name.
        unset: their defaults.
        images: whether its data are images, and not the pixels of a scene.

    Raises:
        InputError: naming two options that contradict each other, or one that is missing.
    """
    dataset, split = given["dataset"], given["split"]
    for name in ("components", "patch_size", "as_published") if images else ("image_size",):
        if given[name] != unset[name]:
            kind = "scenes" if images else "sets of images"
            raise InputError(f"`{name}` goes with {kind}, not with `dataset`={dataset}")
    if given["feed"] == "streamed" and not images and dataset != COLLECTION:
        raise InputError("`feed`=streamed goes with sets of images; a scene stays on the devices")
    if images and split not in ("random", "official") and not split.endswith(LIST_SUFFIX):
        raise InputError(
            f"`split`={split}: images have the splits random and official, or lists of names "
            f"({LIST_SUFFIX})"
        )
    if split.endswith(LIST_SUFFIX) and not images:
        raise InputError(f"`split`={split}: lists of names go with sets of images")
    if split == "official" and not images:
        raise InputError("`split`=official goes with sets of images; give random or disjoint")
    unused = dataset in ("synthetic", "file", "given", COLLECTION) and not given["protocol"]
    if given["data_dir"] and unused:
        raise InputError(f"`data_dir` has no effect with `dataset`={dataset}; leave it out")
    if given["resume"] and given["overwrite"]:
        raise InputError("`resume` and `overwrite` exclude each other; give one")
    if given["resume"] and not given["workdir"] and not given["process_id"]:
        raise InputError("`resume` needs `workdir`=FOLDER of the run that is to be continued")
