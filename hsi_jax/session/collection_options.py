"""The options of a run on a collection of scenes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hsi_jax.data.collection.collection_split import GROUP, SCENES, WITHIN
from hsi_jax.data.collection.patch_reader import ON_UNREADABLE
from hsi_jax.errors import InputError
from hsi_jax.options import check_options, option

COLLECTION = "scenes"  # of `dataset`
BY_TABLE = (SCENES, GROUP)  # of `split`, which only collections have


@dataclass(frozen=True)
class CollectionOptions:
    """Which scenes there are, and how they are read and divided.

    Raises:
        InputError: on a value that cannot be used.
    """

    scenes: str = option(
        "",
        "with `dataset`=scenes: a table with a row for each scene, .csv with the columns image, "
        "labels, role and group (or .gpkg, .geojson, STAC items in .json), or a pattern in quotes; "
        "labels of a pattern are `labels`, with the same star",
        path=True,
        may_change=True,
    )
    group_column: str = option(
        GROUP,
        "with `split`=group: the column of the table whose text is the group, such as site or date",
    )
    folds: int | None = option(
        None,
        "with `split`=group: parts into which the groups are dealt; default each group is one",
        kind=int,
        at_least=2,
    )
    fold: int = option(
        0,
        "with `split`=group: the part that tests, from 0",
        at_least=0,
    )
    tile_side: int = option(
        256,
        "side of the tiles in which scenes are read, pixels; that of the tiles in the files is "
        "fastest",
        at_least=16,
        at_most=4096,
    )
    mixed_tiles: int = option(
        4,
        "tiles whose pixels are shuffled together, in each of up to 8 lanes of a batch",
        at_least=1,
        at_most=256,
    )
    on_unreadable: str = option(
        "stop",
        "what to do with a tile that can no longer be read while training: stop, or skip it, so "
        "that pixels of the next tile stand in for its own",
        choices=ON_UNREADABLE,
        may_change=True,
    )

    def __post_init__(self):
        check_options(self)


def check_collection(given: Mapping[str, Any], unset: Mapping[str, Any]) -> None:
    """Checks the options that have to do with collections; their groups have checked themselves.

    Args:
        given: the options of a run, by name.
        unset: their defaults.

    Raises:
        InputError: naming one that is missing, or that does not go with a collection.
    """
    dataset, split = given["dataset"], given["split"]
    if dataset != COLLECTION:
        _check_none(given, unset)
        return
    if not given["scenes"]:
        raise InputError("`dataset`=scenes needs `scenes`=FILE, a table of scenes, or a pattern")
    known = (*BY_TABLE, *WITHIN)
    if split not in known and ":" not in split:
        raise InputError(f"`split`={split}: a collection has the splits {', '.join(known)}")
    if split in BY_TABLE:
        for name in ("train_fraction", "train_per_class"):
            if given[name] is not None:
                raise InputError(f"`{name}` goes with splits within scenes, not `split`={split}")
    for name in ("as_published", "rgb", "sampling"):
        if given[name] != unset[name]:
            raise InputError(
                f"`{name}`={given[name]} does not go with `dataset`=scenes; leave it out"
            )


def _check_none(given: Mapping[str, Any], unset: Mapping[str, Any]) -> None:
    for name in ("scenes", "group_column", "folds", "fold", "tile_side", "mixed_tiles"):
        if given[name] != unset[name]:
            raise InputError(
                f"`{name}` goes with `dataset`=scenes, not with `dataset`={given['dataset']}"
            )
    if given["split"] in BY_TABLE:
        raise InputError(f"`split`={given['split']} goes with `dataset`=scenes")
