"""The class of each polygon or point, from the attributes in its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_jax.errors import InputError

# Where nobody says which attribute names the class; upper and lower case are the same.
MAX_ID = 2**31 - 1  # of the int32 in which ids are kept
_USUAL_NAMES = ("class", "class_id", "classid", "class_name", "classname", "label", "label_id")


@dataclass(frozen=True, eq=False)
class FeatureClasses:
    """Classes of features.

    Attributes:
        ids: class id of each feature, above 0; None where it has none.
        names: of the ids, increasing.
        remarks: which attributes were taken, where nobody said it.
    """

    ids: list[int | None]
    names: dict[int, str]
    remarks: tuple[str, ...]


def classes_of_features(
    attributes: Mapping[str, np.ndarray], attribute: str | None, source: str
) -> FeatureClasses:
    """Finds the class of each feature.

    The default attribute is the first of class, class_id, classid, class_name, classname, label and
    label_id that there is, or else the only one. Names may also be told by one attribute and ids by
    another, if each name has one id: where the attribute has texts and exactly one other has whole
    numbers above 0 that fit so, they are the ids; and the other way round. Texts without ids are
    numbered from 1 in alphabetical order.

    Args:
        attributes: a value of each feature, by name.
        attribute: the one to take, or None.
        source: the file, for messages.

    Raises:
        InputError: if there is no such attribute, none can be chosen, its values are neither texts
            nor whole numbers above 0, or there are fewer than two classes.
    """
    chosen = _choose(attributes, attribute, source)
    values = _values(attributes[chosen])
    kinds = {type(value) for value in values if value is not None}
    if kinds not in ({str}, {int}) or any(isinstance(v, int) and v < 0 for v in values):
        raise InputError(
            f"The attribute '{chosen}' of {source} has values that are neither texts nor whole "
            f"numbers from 0; choose another with `labels_attribute`, of {', '.join(attributes)}."
        )
    partner, numbered = _partner(attributes, chosen, values), ""
    others = _values(attributes[partner]) if partner else [None] * len(values)
    texts, numbers = (values, others) if kinds == {str} else (others, values)
    if partner is None and kinds == {str}:
        order = {text: n for n, text in enumerate(sorted(set(filter(None, texts))), start=1)}
        numbers = [order.get(text) for text in texts]
    if any(number and number > MAX_ID for number in numbers):  # codes of ten digits
        order = {code: n for n, code in enumerate(sorted({*filter(None, numbers)}), start=1)}
        texts = [text or str(code) for text, code in zip(texts, numbers, strict=True)]
        numbers = [order[code] if code else None for code in numbers]
        numbered = f" Their codes are above {MAX_ID}: they are numbered from 1 in that order."
    ids = [number or None for number in numbers]  # 0 is no class
    names = {
        i: text or f"class {i}" for i, text in sorted(zip(ids, texts, strict=True), key=_first) if i
    }
    if len(names) < 2:
        raise InputError(
            f"The attribute '{chosen}' of {source} has {len(names)} classes; a classifier needs at "
            f"least two. Choose another with `labels_attribute`, of {', '.join(attributes)}."
        )
    said = f"Classes are the attribute '{chosen}' of {Path(source).name}"
    if partner:
        said += f", with {'names' if kinds == {int} else 'ids'} from '{partner}'"
    return FeatureClasses(ids, names, () if attribute and not numbered else (f"{said}.{numbered}",))


def _first(pair: tuple) -> int:
    return pair[0] or 0


def _choose(attributes: Mapping[str, np.ndarray], attribute: str | None, source: str) -> str:
    listing = ", ".join(attributes) or "none"
    if attribute is not None:
        if attribute not in attributes:
            raise InputError(
                f"`labels_attribute`={attribute}: {source} has no such attribute; choose one of "
                f"{listing}"
            )
        return attribute
    by_name = {name.lower(): name for name in attributes}
    for usual in _USUAL_NAMES:
        if usual in by_name:
            return by_name[usual]
    if len(attributes) == 1:
        return next(iter(attributes))
    raise InputError(
        f"{source} does not tell which attribute names the class; choose one with "
        f"`labels_attribute`. Its attributes: {listing}."
    )


def _values(column: np.ndarray) -> list:
    """Texts as they are, whole numbers as int, None where there is nothing, others as float."""
    values: list = []
    for value in column.tolist():
        if value is None or value != value or value == "":
            values.append(None)
        elif isinstance(value, float) and value.is_integer():
            values.append(int(value))
        else:
            values.append(value)
    return values


def _partner(attributes: Mapping[str, np.ndarray], chosen: str, values: list) -> str | None:
    """The only attribute of the other kind of which each value goes with one class."""
    found = [
        name
        for name, column in attributes.items()
        if name != chosen and _pairs_up(values, _values(column))
    ]
    return found[0] if len(found) == 1 else None


def _pairs_up(values: list, others: list) -> bool:
    pairs = {pair for pair in zip(values, others, strict=True) if pair[0] is not None}
    kinds = {tuple(type(value) for value in pair) for pair in pairs}
    one_to_one = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    # Where each feature has its own class, any number of the feature would do.
    shared = len(pairs) < sum(value is not None for value in values)
    positive = all(value > 0 for pair in pairs for value in pair if isinstance(value, int))
    return kinds in ({(str, int)}, {(int, str)}) and one_to_one and shared and positive
