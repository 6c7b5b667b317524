"""Which options of a run go together, where they are of several groups."""

from collections.abc import Mapping
from typing import Any

from hsi_jax.errors import InputError


def check_together(given: Mapping[str, Any], unset: Mapping[str, Any], *, images: bool) -> None:
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
    if given["feed"] == "streamed" and not images:
        raise InputError("`feed`=streamed goes with sets of images; a scene stays on the devices")
    if images and split not in ("random", "official"):
        raise InputError(f"`split`={split}: images have the splits random and official")
    if split == "official" and not images:
        raise InputError("`split`=official goes with sets of images; give random or disjoint")
    unused = dataset in ("synthetic", "file", "given") and not given["protocol"]
    if given["data_dir"] and unused:
        raise InputError(f"`data_dir` has no effect with `dataset`={dataset}; leave it out")
    if given["resume"] and given["overwrite"]:
        raise InputError("`resume` and `overwrite` exclude each other; give one")
    if given["resume"] and not given["workdir"] and not given["process_id"]:
        raise InputError("`resume` needs `workdir`=FOLDER of the run that is to be continued")
