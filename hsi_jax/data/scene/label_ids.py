"""Which ids of a label map are classes, and which mark pixels without one.

The rule, unless the user says otherwise: 0 is unlabelled. NaN, ids below 0 and ids that the file
declares as "no data" are unlabelled as well, which a remark says; if there is a 0 too, it may be a
class, so the user is asked. The user is also asked about an id above 0 that looks like "no data":
the largest number of an integer type; 99, 999 and so on far from the others; and a single id far
from the others if nothing else is unlabelled. Any other id far from the others is a class, and a
remark names it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError

UNLABELLED = -1  # class index of a pixel without a class

_LARGEST = (255, 32767, 65535, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)  # of integer types
_LARGEST_INT8 = 127
_POWERS_OF_10 = tuple(10**k for k in range(1, 10))
_MIN_GAP = 64  # between ids that are far from each other
_NAN = "nan"  # what counts call it
_FEW_LEFT = 0.1  # part of a class
_MAX_NAMED = 8  # ids in a message
# Names of what is no class, without blanks, hyphens and capitals.
_NO_CLASS = re.compile(
    r"(un|not?)(classified|labell?ed|assigned|defined|known)|(no|fill)(data|class|label|value)+|"
    r"background|void|none|null|nan?|ignored?|masked|empty|fill"
)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Classes of pixels.

    Attributes:
        labels: int32 [rows, columns], class index 0..C-1, or -1 where a pixel is unlabelled.
        class_ids: the id of each class in the file, increasing.
        unlabelled_ids: ids without a class, at least one; the first is not among class_ids and is
            what maps get.
        unlabelled_counts: how many pixels hold each of them, by id or "nan"; without the pixels
            that have no data.
        hidden: pixels that have the id of a class, but no data.
        remarks: what a user has to know about it, a sentence each.
    """

    labels: np.ndarray
    class_ids: tuple[int, ...]
    unlabelled_ids: tuple[int, ...]
    unlabelled_counts: Mapping[str, int]
    hidden: int
    remarks: tuple[str, ...]


def read_label_map(
    ids: np.ndarray,
    *,
    unlabelled: Sequence[int] | None = None,
    declared: Sequence[float] = (),
    names: Mapping[int, str] | None = None,
    nodata: np.ndarray | None = None,
    min_classes: int = 2,
    source: str,
) -> LabelMap:
    """Renumbers the classes 0..C-1.

    Args:
        ids: whole numbers of any real dtype, or NaN, [rows, columns]; of bool, False and True are
            two classes, 0 and 1.
        unlabelled: ids without a class, or None for the rule above.
        declared: ids that the file declares as "no data".
        names: of ids that are known to be classes; if there are any, the user is not asked about
            0. A remark lists the classes whose names say that they are none.
        nodata: bool [rows, columns], True where a pixel has no data and so no class; or None.
        min_classes: that there must be; a scene among others may have one or none.
        source: where the ids come from, for messages.

    Raises:
        InputError: if an id is not a whole number of 32 bits, if there are fewer classes, or if the
            user has to say which ids are classes.
    """
    remarks = []
    if ids.dtype == bool and unlabelled is None:
        remarks.append("The labels are true and false: two classes, 1 and 0, no pixel unlabelled.")
        unlabelled = ()
    has_data = np.ones(ids.shape, bool) if nodata is None else ~nodata
    values, indexes, counts = np.unique(ids[has_data], return_inverse=True, return_counts=True)
    numbers = [_whole(value, source) for value in values.tolist()]
    found = {number: int(n) for number, n in zip(numbers, counts, strict=True)}
    without, sentences = _choose(found, unlabelled, declared, named=names or {}, source=source)
    class_ids = [n for n in numbers if n is not None and n not in without]
    lost = _lost(ids[~has_data], class_ids, [*without, *declared], unlabelled is None)
    _check_ids(class_ids, found, source)
    if len(class_ids) < min_classes:
        _raise_too_few(class_ids, found, lost, source)
    sentences += [*_tell_lost(lost, found), *_tell_none(class_ids, names or {}, found, without)]
    position: dict[int | None, int] = {class_id: k for k, class_id in enumerate(class_ids)}
    table = np.array([position.get(number, UNLABELLED) for number in numbers], np.int32)
    labels = np.full(ids.shape, UNLABELLED, np.int32)
    labels[has_data] = table[indexes.ravel()]
    return LabelMap(
        labels,
        tuple(class_ids),
        _written_ids(without, class_ids),
        {_NAN if n is None else str(n): k for n, k in found.items() if n not in position},
        sum(lost.values()),
        (*remarks, *sentences),
    )


def _whole(value: float, source: str) -> int | None:
    """The id as a whole number; None for NaN."""
    if value != value:
        return None
    if value in (np.inf, -np.inf):
        raise InputError(
            f"The label map of {source} has the value {value}, which is no id; write NaN or 0 "
            f"where there is no class."
        )
    if value != int(value):
        raise InputError(
            f"The label map of {source} has the value {value}, which is not a whole number; give "
            f"one class id for each pixel."
        )
    return int(value)


def _choose(
    found: Mapping[int | None, int],
    unlabelled: Sequence[int] | None,
    declared: Sequence[float],
    *,
    named: Collection[int],
    source: str,
) -> tuple[list[int], list[str]]:
    """The ids without a class, and remarks."""
    ids = [number for number in found if number is not None]
    nan = [f"NaN ({found[None]} pixels) is taken as unlabelled."] if None in found else []
    if unlabelled is not None:
        absent = [f"No pixel has the id {i} of `unlabelled`." for i in unlabelled if i not in found]
        fills, far = _suspicious([i for i in ids if i not in unlabelled])
        kept = [
            f"The id {i} ({found[i]} pixels) looks like 'no data', but is taken as a class."
            for i in sorted([*fills, *far])
            if i not in named
        ]
        return list(dict.fromkeys(unlabelled)), [*nan, *absent, *kept]
    special = [i for i in ids if i != 0 and i not in named and (i < 0 or i in declared)]
    classes = [i for i in ids if i != 0 and i not in special]
    odd, far = ([i for i in some if i not in named] for some in _suspicious(classes))
    if len(far) == 1 and not (special or nan or odd or 0 in found):
        odd, far = far, []
    asks_zero = 0 in found and not named and bool(special or nan)
    if odd or asks_zero:
        question = _question(found, special, odd, asks_zero)
        raise InputError(f"The label map of {source} has {question}")
    said = [f"The id {i} ({found[i]} pixels) is taken as unlabelled." for i in special]
    zero = [0] if 0 in found else []
    said += [
        f"The id {i} ({found[i]} pixels) lies far from the others and is taken as a class; if it "
        f"is none, `unlabelled`={_listed([*zero, *special, i])}."
        for i in far
    ]
    if 0 in found and 0 not in named:
        if not named:
            said.append("The id 0 is taken as unlabelled; if it is a class, `unlabelled`=none.")
        special = [0, *special]
    return special, [*nan, *said]


def _suspicious(ids: list[int]) -> tuple[list[int], list[int]]:
    """Ids that look like "no data", and others that are a few and lie far above the rest."""
    fills = [i for i in ids if i < 0 or (i in _LARGEST and i - 1 not in ids)]
    classes = sorted(i for i in ids if i not in fills)
    far: list[int] = []
    for k in range(1, len(classes)):
        gap = classes[k] - classes[k - 1]
        if gap > max(_MIN_GAP, 3 * classes[k - 1]) and len(classes) - k < k:
            far = classes[k:]
            break
    nines = [i for i in far if i + 1 in _POWERS_OF_10 or i == _LARGEST_INT8]
    return sorted([*fills, *nines]), [i for i in far if i not in nines]


def _question(
    found: Mapping[int | None, int], special: list[int], odd: list[int], asks_zero: bool
) -> str:
    """The end of the message that asks what is unlabelled, with the answers that there are."""
    zero = [0] if 0 in found else []
    counts = [f"{i} ({found[i]} pixels)" for i in [*special, *odd]][:_MAX_NAMED]
    nan = [f"NaN ({found[None]} pixels)"] if None in found else []
    rest = [i for i in sorted(i for i in found if i is not None) if i not in (*special, *odd)]
    all_of_them = _listed([*zero, *special, *odd])
    these = "these are no classes" if special or odd else "0 is no class"
    ways = [f"`unlabelled`={all_of_them} if {these}"]
    if odd:
        word = "is a class" if len(odd) == 1 else "are classes"
        ways.append(f"`unlabelled`={_listed([*zero, *special])} if {_listed(odd)} {word}")
    if asks_zero or (zero and odd):
        ways.append(f"`unlabelled`={_listed([*special, *odd])} if 0 is a class")
    beside = f" beside {', '.join(map(str, rest[:_MAX_NAMED]))}{' ...' * (len(rest) > _MAX_NAMED)}"
    return (
        f"{', '.join([*nan, *counts])}{beside}, so it is not certain which ids have no class: "
        f"give {', or '.join(ways)}."
    )


def _listed(ids: list[int]) -> str:
    return ",".join(map(str, ids)) or "none"


def _lost(
    ids: np.ndarray, class_ids: list[int], without: Sequence[float], by_rule: bool
) -> dict[int, int]:
    """The ids of classes among pixels without data, and how many pixels hold each."""
    known = ids[np.isfinite(ids)] if ids.dtype.kind == "f" else ids
    values, counts = np.unique(known, return_counts=True)
    lost = {int(value): int(n) for value, n in zip(values, counts, strict=True)}
    return {
        i: n
        for i, n in lost.items()
        if i in class_ids or not (i in without or (by_rule and (i <= 0 or i in _LARGEST)))
    }


def _tell_lost(lost: Mapping[int, int], found: Mapping[int | None, int]) -> list[str]:
    """Remarks on classes that have lost all, or nearly all, of their pixels."""
    sentences = []
    for i, count in lost.items():
        left = found.get(i, 0)
        if not left:
            sentences.append(
                f"The class of id {i} is left out: none of its {count} pixels has data."
            )
        elif left < _FEW_LEFT * (left + count):
            sentences.append(
                f"Only {left} of {left + count} pixels of the class of id {i} have data."
            )
    return sentences


def says_none(name: str) -> bool:
    """Whether the name of a class says that it is none, such as "No Data"."""
    return _NO_CLASS.fullmatch(re.sub(r"[\W_]", "", name.casefold())) is not None


def _tell_none(
    class_ids: list[int],
    names: Mapping[int, str],
    found: Mapping[int | None, int],
    without: list[int],
) -> list[str]:
    """Remarks on classes whose names say that they are none."""
    odd = [i for i in class_ids if says_none(names.get(i, ""))]
    if not odd:
        return []
    named = ", ".join(f"{i} ({names[i]}, {found[i]} pixels)" for i in odd)
    return [
        f"The name of the class {named} says that it is no class, but it is taken as one; "
        f"`unlabelled`={_listed([*without, *odd])} leaves it out."
    ]


def _check_ids(class_ids: list[int], found: Mapping[int | None, int], source: str) -> None:
    large = [i for i in class_ids if not -(2**31) <= i < 2**31]
    if large:
        without = _listed([*([0] if 0 in found else []), *large])
        raise InputError(
            f"The label map of {source} has the class id {large[0]}; give ids of 32 bits, or, if "
            f"it stands for no class, `unlabelled`={without}."
        )


def _raise_too_few(
    class_ids: list[int], found: Mapping[int | None, int], lost: Mapping[int, int], source: str
) -> None:
    if lost:
        left = f"of the id {class_ids[0]} alone" if class_ids else "of no class"
        raise InputError(
            f"{sum(lost.values())} labelled pixels of {source} have no data, and what is left is "
            f"{left}; check the values of `nodata`, or label other pixels."
        )
    if class_ids:
        problem = f"The label map of {source} has the single class id {class_ids[0]}"
        raise InputError(f"{problem}; a classifier needs at least two.")
    ids = ", ".join(_NAN if i is None else str(i) for i in found)
    problem = f"All pixels of the label map of {source} are unlabelled ({ids})"
    raise InputError(f"{problem}; give a map with at least two classes.")


def _written_ids(without: list[int], class_ids: list[int]) -> tuple[int, ...]:
    """The ids without a class that maps of 32 bits can hold; one that is free if there is none."""
    small = [i for i in without if -(2**31) <= i < 2**31]
    free = next(i for i in (0, *range(-1, -len(class_ids) - 2, -1)) if i not in class_ids)
    return tuple(small or [free])
