"""Which options of a run go together, where they are of several groups."""

from typing import TYPE_CHECKING

from hsi_jax.errors import InputError
from hsi_jax.options import defaults, values

if TYPE_CHECKING:
    from hsi_jax.session.options import RunOptions


def check_together(options: "RunOptions") -> None:
    """Checks options of different groups; each group has checked its own.

    Raises:
        InputError: naming two options that contradict each other, or one that is missing.
    """
    _check_kind(options)
    _check_split(options)
    unused = options.data.dataset in ("synthetic", "file", "given") and not options.split.protocol
    if options.data.data_dir and unused:
        raise InputError(
            f"`data_dir` has no effect with `dataset`={options.data.dataset}; leave it out"
        )
    if options.checkpoints.resume and options.output.overwrite:
        raise InputError("`resume` and `overwrite` exclude each other; give one")
    nowhere = not options.output.workdir and not options.devices.process_id
    if options.checkpoints.resume and nowhere:
        raise InputError("`resume` needs `workdir`=FOLDER of the run that is to be continued")


def _check_kind(options: "RunOptions") -> None:
    """Checks that nothing is asked of images that scenes have alone, and the other way round."""
    images, dataset, given = options.data.is_image_set, options.data.dataset, values(options)
    unset = defaults(type(options))
    only = ("components", "patch_size", "as_published") if images else ("image_size",)
    for name in only:
        if given[name] != unset[name]:
            kind = "scenes" if images else "sets of images"
            raise InputError(f"`{name}` goes with {kind}, not with `dataset`={dataset}")
    if options.data.feed == "streamed" and not images:
        raise InputError("`feed`=streamed goes with sets of images; a scene stays on the devices")


def _check_split(options: "RunOptions") -> None:
    split, images = options.split.split, options.data.is_image_set
    if images and split not in ("random", "official"):
        raise InputError(f"`split`={split}: images have the splits random and official")
    if split == "official" and not images:
        raise InputError("`split`=official goes with sets of images; give random or disjoint")
