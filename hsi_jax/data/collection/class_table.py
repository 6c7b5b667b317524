"""Classes of many label files joined by their names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError


@dataclass(frozen=True)
class ClassTable:
    """The classes of a collection.

    Attributes:
        names: C names.
        ids: the id of each class in maps and tables, increasing.
        numbers: of each scene, the number 0..C-1 of each of its own classes.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    numbers: tuple[np.ndarray, ...]


def join_classes(
    scenes: Sequence[tuple[str, Sequence[int], Sequence[str | None]]],
) -> ClassTable:
    """Gives the classes of all scenes common numbers.

    Classes of the same name are one. A class keeps the id that it has in the first scene that names
    it, unless another has it there: then it gets the next free one. Where no file has names, ids
    are the names.

    Args:
        scenes: of each labelled scene: what messages call it, the ids of its classes and their
            names, None for a class without a name.

    Raises:
        InputError: naming a row, if some scenes have names and others only ids, or if there are
            fewer than two classes.
    """
    named = [where for where, _, names in scenes if any(names)]
    bare = [where for where, _, names in scenes if any(name is None for name in names)]
    if named and bare:
        raise InputError(
            f"{bare[0]}: its labels have ids without names, but those of {named[0]} have names; "
            f"give names to the classes of all scenes, or of none"
        )
    known: dict[str, int] = {}
    for _, ids, names in scenes:
        for class_id, name in zip(ids, names, strict=True):
            key = _key(class_id, name)
            if key not in known:
                free = class_id not in known.values()
                known[key] = class_id if free else max(known.values()) + 1
    if len(known) < 2:
        raise InputError(
            f"the scenes have {len(known)} class(es); a classifier needs at least two: give "
            f"labels in more rows, or with more classes"
        )
    in_order = sorted(known, key=lambda key: known[key])
    number = {key: place for place, key in enumerate(in_order)}
    own = tuple(
        np.array([number[_key(*pair)] for pair in zip(ids, names, strict=True)], np.int32)
        for _, ids, names in scenes
    )
    return ClassTable(tuple(in_order), tuple(known[key] for key in in_order), own)


def _key(class_id: int, name: str | None) -> str:
    return f"class {class_id}" if name is None else name.strip()
