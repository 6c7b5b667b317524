"""Options are declared once, as fields of frozen dataclasses, with their help, bounds and choices.

A class of options may have others as its groups, one for each subject. Names are unique over all
groups, so that flags, files of settings and messages call an option by its name alone.
"""

import dataclasses
import math
import numbers
import operator
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from hsi_jax.errors import InputError
from hsi_jax.registry import Registry

Options = TypeVar("Options")

_BOUNDS = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}
_KINDS = {
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: (str, "text"),
    bool: (bool, "True or False"),
}


def option(
    default: Any,
    help: str,
    *,
    heading: str = "",
    choices: Collection[str] = (),
    kind: type | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    word: str = "",
    path: bool = False,
    may_change: bool = False,
) -> Any:
    """A field of a class of options.

    Args:
        default: its value where none is given; a tuple makes a list between commas.
        help: what it means.
        heading: of the help under which it stands; a group has one for all of its options.
        choices: the values that it may have; a `Registry` takes package.module:name as well.
        kind: its type, needed where the default is None.
        at_least: lower bound of a number, inclusive.
        at_most: upper bound, inclusive.
        above: lower bound, exclusive.
        below: upper bound, exclusive.
        word: a value that may stand instead of a number.
        path: whether it is, or may be, a path: ~ is the home folder then.
        may_change: whether a run may be resumed with another value, because its result does not
            depend on it.
    """
    metadata = {
        "heading": heading,
        "help": help,
        "choices": choices,
        "kind": kind or type(default),
        "at_least": at_least,
        "at_most": at_most,
        "above": above,
        "below": below,
        "word": word,
        "path": path,
        "may_change": may_change,
    }
    return dataclasses.field(default=default, metadata=metadata)


def group(kind: type, heading: str) -> Any:
    """A field of a class of options that holds the options of one subject.

    Args:
        kind: their class.
        heading: of the help under which they stand.
    """
    return dataclasses.field(default_factory=kind, metadata={"group": kind, "heading": heading})


class Declared(NamedTuple):
    """An option as its class declares it: its field, and the name of its group or ""."""

    field: dataclasses.Field
    group: str
    heading: str


def declared(kind: type) -> Iterator[Declared]:
    """All options of a class and of its groups, in their order."""
    for field in dataclasses.fields(kind):
        inner = field.metadata.get("group")
        if inner is None:
            yield Declared(field, "", field.metadata["heading"])
        else:
            for own in dataclasses.fields(inner):
                yield Declared(own, field.name, field.metadata["heading"])


def defaults(kind: type) -> dict[str, Any]:
    """The default of every option, by its name."""
    return {each.field.name: each.field.default for each in declared(kind)}


def values(options: Any) -> dict[str, Any]:
    """The value of every option, by its name."""
    return {
        each.field.name: getattr(
            getattr(options, each.group) if each.group else options, each.field.name
        )
        for each in declared(type(options))
    }


def with_values(options: Options, **changed: Any) -> Options:
    """The options with other values of some of them.

    Raises:
        InputError: on a name that is no option, or a value that cannot be used.
    """
    return from_values(type(options), values(options) | changed)


def from_values(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """Options from values by name; the others have their defaults.

    Raises:
        InputError: on a name that is no option, or a value that cannot be used.
    """
    own: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    left = dict(given)
    for each in declared(kind):
        name = each.field.name
        if name in left:
            target = groups.setdefault(each.group, {}) if each.group else own
            target[name] = left.pop(name)
    if left:
        raise InputError(f"`{next(iter(left))}` is not an option of {kind.__name__}")
    for field in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        if field.name in groups:
            own[field.name] = field.metadata["group"](**groups[field.name])
    return kind(**own)


def check_options(options: Any) -> None:
    """Checks every option of a class, or of a group, by itself.

    Raises:
        InputError: naming the option and what it may be.
    """
    for field in dataclasses.fields(options):
        if "group" not in field.metadata:
            _check(field.name, getattr(options, field.name), field)


def _check(name: str, value: Any, field: dataclasses.Field) -> None:
    metadata = field.metadata
    choices = metadata["choices"]
    if isinstance(choices, Registry):
        if value is not None or field.default is not None:
            choices.check(value)
        return
    if choices and value not in choices:
        raise InputError(f"`{name}`={value}: choose one of {', '.join(choices)}")
    same = value == field.default and type(value) is type(field.default)  # True == 1
    if same or (metadata["word"] and value == metadata["word"]):
        return
    kind, words = _KINDS.get(metadata["kind"], (object, ""))
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise InputError(f"`{name}`={value}: give {words}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"`{name}`={value}: give a finite number")
    for bound, holds in _BOUNDS.items():
        limit = metadata[bound]
        if limit is not None and not holds(value, limit):
            raise InputError(f"`{name}`={value}: give a number {bound.replace('_', ' ')} {limit}")
