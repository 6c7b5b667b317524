"""The options of a run on what is learnt, with labels or without, and from where it starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.options import check_options, option

CLASSIFY, PRETRAIN = "classify", "pretrain"
ALL, WITHOUT_TEST = "all", "without_test"
_OF_PRETRAINING = ("pretrain_on", "mask_bands", "mask_pixels", "mask_group")
_OF_CLASSES = ("init", "freeze", "loss", "sampling", "as_published")
_OF_SPLITS = ("train_fraction", "train_per_class", "split", "guard")


@dataclass(frozen=True)
class LearningOptions:
    """What is learnt: classes, or without labels what is hidden of each patch.

    Raises:
        InputError: on a value that cannot be used.
    """

    task: str = option(
        CLASSIFY,
        "classify: learn the classes; pretrain: learn without labels to reconstruct what is hidden "
        "of the patches of a scene; a classifier can then start from it, with `init`",
        choices=(CLASSIFY, PRETRAIN),
    )
    pretrain_on: str = option(
        ALL,
        "with `task`=pretrain: all pixels that have data, test pixels among them; or "
        "without_test: all but the test pixels of `split`, which are hidden in all patches too",
        choices=(ALL, WITHOUT_TEST),
    )
    init: str = option(
        "",
        "folder of a run or of a saved model, pretrained or trained: its network without the head "
        "is where training starts. Bands are matched by wavelength, classes may be others",
        path=True,
    )
    freeze: bool = option(
        False,
        "with `init`: train the head alone; all other parameters stay as they are",
    )

    def __post_init__(self):
        check_options(self)
        if self.freeze and not self.init:
            raise InputError("`freeze` goes with `init`=FOLDER, whose parameters are to stay")

    @property
    def pretrains(self) -> bool:
        """Whether no classes are learnt."""
        return self.task == PRETRAIN


def check_learning(given: Mapping[str, Any], unset: Mapping[str, Any], *, images: bool) -> None:
    """Checks what is learnt against the other options of a run.

    Args:
        given: the options of a run, by name.
        unset: their defaults.
        images: whether its data are images.

    Raises:
        InputError: naming two options that contradict each other, or one that is missing.
    """
    pretrains, on_all = given["task"] == PRETRAIN, given["pretrain_on"] == ALL
    if given["dataset"] == "file" and not given["labels"] and not (pretrains and on_all):
        raise InputError("`dataset`=file needs both `cube`=FILE and `labels`=FILE")
    if pretrains and images:
        raise InputError("`task`=pretrain goes with scenes, not with sets of images")
    for name in _OF_CLASSES if pretrains else _OF_PRETRAINING:
        if given[name] != unset[name]:
            own = f"`{name}`={given[name]}"
            raise InputError(
                f"{own} has no effect with `task`={given['task']}; leave it out"
                if pretrains
                else f"{own} goes with `task`=pretrain"
            )
    if given["init"] and given["components"] is not None:
        raise InputError(
            f"`components`={given['components']}: with `init` the channels are those of its "
            f"model; leave it out"
        )
    for name in _OF_SPLITS if pretrains and on_all and not given["protocol"] else ():
        if given[name] != unset[name]:
            raise InputError(
                f"`{name}`={given[name]}: `task`=pretrain on all pixels reads no labels and has no "
                f"split; leave it out, or give `pretrain_on`=without_test"
            )
