"""One way to declare options: a frozen dataclass, each field with its help, bounds and choices."""

import dataclasses
import math
import operator
from collections.abc import Collection
from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.registry import Registry


def option(
    group: str,
    default: Any,
    help: str,
    *,
    choices: Collection[str] = (),
    kind: type | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    word: str = "",
    path: bool = False,
) -> Any:
    """A field of an options class.

    Args:
        group: heading of the help under which it stands.
        default: its value where no flag is given; a tuple makes a list between commas.
        help: what it means.
        choices: the values that it may have; a `Registry` takes package.module:name as well.
        kind: its type, needed where the default is None.
        at_least: bound of a number; likewise the next three.
        at_most: likewise.
        above: likewise.
        below: likewise.
        word: a value that may stand instead of a number.
        path: whether it is, or may be, a path: ~ is the home folder then.
    """
    metadata = {
        "group": group,
        "help": help,
        "choices": choices,
        "kind": kind or type(default),
        "at_least": at_least,
        "at_most": at_most,
        "above": above,
        "below": below,
        "word": word,
        "path": path,
    }
    return dataclasses.field(default=default, metadata=metadata)


_BOUNDS = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


def check_options(options: Any) -> None:
    """Checks every field of an options value by itself.

    Raises:
        InputError: naming the field and what it may be.
    """
    for field in dataclasses.fields(options):
        value, metadata = getattr(options, field.name), field.metadata
        choices = metadata["choices"]
        if isinstance(choices, Registry):
            choices.check(value)
        elif choices and value not in choices:
            raise InputError(f"--{field.name}={value}: choose one of {', '.join(choices)}")
        if value is None or (metadata["word"] and value == metadata["word"]):
            continue
        for bound, holds in _BOUNDS.items():
            limit = metadata[bound]
            if limit is not None and not holds(value, limit):
                words = f"{bound.replace('_', ' ')} {limit}"
                raise InputError(f"--{field.name}={value}: give a number {words}")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{field.name}={value}: give a finite number")
