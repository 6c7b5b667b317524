"""Which options of a run go together."""

import dataclasses
import difflib
from typing import Any

from hsi_jax.data.public.catalogue import CATALOGUE
from hsi_jax.data.public.image_catalogue import FOLDER, IMAGE_CATALOGUE, TFDS_PREFIX
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.errors import InputError

SCENES = ("synthetic", *CATALOGUE, "file")
NAMED_SPLITS = ("random", "disjoint", "polygons", "official")
IMAGE_SETS = (*IMAGE_CATALOGUE, FOLDER)
READING_OPTIONS = tuple(
    field.name for field in dataclasses.fields(ReadOptions)
)  # flags of these names


def check_together(config: Any) -> None:
    """Checks options that say something of each other; what an option says alone is checked before.

    Args:
        config: a `Config`.

    Raises:
        InputError: naming two options that contradict each other, or one that is missing.
    """
    _check_data(config)
    _check_split(config)
    _check_cluster(config)
    _check_resume(config)


def _check_data(config: Any) -> None:
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
    if config.as_published and config.is_image_set:
        raise InputError(f"--as_published goes with scenes, not with --dataset={config.dataset}")
    if config.feed == "streamed" and not config.is_image_set:
        raise InputError("--feed=streamed goes with sets of images; a scene stays on the devices")
    if config.dataset == "file" and not (config.cube and config.labels):
        raise InputError("--dataset=file needs both --cube=FILE and --labels=FILE")
    if config.dataset == FOLDER and not config.data_dir:
        raise InputError("--dataset=folder needs --data_dir=FOLDER, with a folder for each class")
    own = ("cube", "labels", "cube_variable", "labels_variable", "labels_attribute")
    for name in (*own, "labels_touched"):
        if getattr(config, name) and config.dataset != "file":
            raise InputError(f"--{name} goes with --dataset=file, not --dataset={config.dataset}")
    _ = config.reading  # reads its texts
    for name in READING_OPTIONS:
        unset = type(config).__dataclass_fields__[name].default
        if getattr(config, name) != unset and (config.is_image_set or config.dataset == SCENES[0]):
            raise InputError(
                f"--{name} goes with scenes from files, not with --dataset={config.dataset}"
            )
    if config.data_dir and config.dataset in ("synthetic", "file") and not config.protocol:
        raise InputError(f"--data_dir is of no use with --dataset={config.dataset}; leave it out")


def _check_cluster(config: Any) -> None:
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


def _check_resume(config: Any) -> None:
    if config.resume and config.overwrite:
        raise InputError("--resume and --overwrite exclude each other; give one")
    if config.resume and not config.workdir and not config.process_id:
        raise InputError("--resume needs --workdir=FOLDER of the run to go on with")


def _check_split(config: Any) -> None:
    if config.train_fraction is not None and config.train_per_class is not None:
        raise InputError("--train_fraction and --train_per_class exclude each other; give one")
    _check_split_kind(config)
    if config.split in ("random", "disjoint", "polygons"):
        return
    if config.train_fraction is not None or config.train_per_class is not None:
        raise InputError(
            f"--split={config.split} already says which pixels to train on; leave out "
            f"--train_fraction and --train_per_class"
        )


def _check_split_kind(config: Any) -> None:
    if config.guard is not None and config.split != "disjoint":
        raise InputError(f"--guard={config.guard} goes with --split=disjoint; leave it out")
    if config.is_image_set and config.split not in ("random", "official"):
        raise InputError(f"--split={config.split}: images have the splits random and official")
    if config.split == "official" and not config.is_image_set:
        raise InputError("--split=official goes with sets of images; give random or disjoint")
