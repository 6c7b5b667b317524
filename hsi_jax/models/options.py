"""A model's options as text, such as "features=(32, 32); dropout=0.5; dtype=bfloat16"."""

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any, get_args

from hsi_jax.errors import InputError
from hsi_jax.models.registry import BUILT_IN, Model, find_model, find_trait

_NO_OPTIONS = {"num_classes", "parent", "name"}  # fields that every module has
_NOT_LITERAL = (SyntaxError, TypeError, ValueError, RecursionError, MemoryError)


def parse_options(name: Model, text: str) -> dict[str, Any]:
    """Reads the options of a model.

    Args:
        name: as of `hsi_jax.models.find_model`; your own model's options may be any literals.
        text: `option=value` pairs between semicolons; a value is a Python literal, or one of the
            words that the option takes.

    Raises:
        InputError: for an unknown option or a value of another type than its default.
    """
    pairs = [pair.strip() for pair in text.split(";") if pair.strip()]
    if not (isinstance(name, str) and name in BUILT_IN):
        find_model(name)
        return dict(_read_literal(pair) for pair in pairs)
    fields = {f.name: f for f in _fields(name) if f.name not in _NO_OPTIONS}
    options = {}
    for pair in pairs:
        option, _, value = (part.strip() for part in pair.partition("="))
        if option not in fields:
            allowed = "; ".join(f"{key}={field.default}" for key, field in fields.items())
            raise InputError(f"`model_options`={pair[:200]!r}: {name} has the options {allowed}")
        options[option] = _read_value(pair, value, fields[option])
    return options


def default_options(name: str) -> dict[str, Any]:
    """The options of a model of `MODELS` with their defaults, without those that its fit finds."""
    hidden = {*_NO_OPTIONS, *find_trait(name, "found_by_fit")}
    return {f.name: f.default for f in _fields(name) if f.name not in hidden}


def options_to_text(options: Mapping[str, Any]) -> str:
    """Writes options so that `parse_options` reads the same options from the text.

    Args:
        options: as `parse_options` returns them.

    Raises:
        InputError: if a value cannot be written as a Python literal.
    """
    return "; ".join(f"{option}={_write(option, value)}" for option, value in options.items())


def _write(option: str, value: Any) -> str:
    # A semicolon would end the option; it can only be inside a string.
    text = repr(value).replace(";", r"\x3b")
    try:
        same = ast.literal_eval(text) == value
    except _NOT_LITERAL:
        same = False
    if not same:
        raise InputError(f"the model option {option}={value!r} is not a Python literal")
    return text


def _fields(name: str) -> tuple[dataclasses.Field, ...]:
    model: Any = find_model(name)  # a dataclass, as all modules of Flax are
    return dataclasses.fields(model)


def _read_literal(pair: str) -> tuple[str, Any]:
    option, _, value = (part.strip() for part in pair.partition("="))
    if not option.isidentifier() or option in _NO_OPTIONS:
        raise InputError(f"`model_options`={pair[:200]!r}: give option=value")
    try:
        return option, ast.literal_eval(value)
    except _NOT_LITERAL:
        raise InputError(
            f"`model_options`={pair[:200]!r}: give a Python literal, such as 3, 0.5, True, "
            f"(8, 8) or 'text'"
        ) from None


def _read_value(pair: str, text: str, field: dataclasses.Field) -> Any:
    default = field.default
    if isinstance(default, str):
        return _read_word(pair, text, get_args(field.type))
    try:
        value = ast.literal_eval(text)
    except _NOT_LITERAL:
        value = None
    if isinstance(default, tuple):
        wanted = f"{len(default)} whole numbers >= 1 in parentheses, such as {default}"
        sizes = value if isinstance(value, tuple | list) else ()
        if len(sizes) == len(default) and all(_is_size(size) for size in sizes):
            return tuple(sizes)
    elif isinstance(default, float):
        wanted = f"a number from 0 to below 1, such as {default}"
        if isinstance(value, int | float) and 0 <= value < 1:
            return value
    else:
        wanted = f"a whole number >= 1, such as {default}"
        if _is_size(value):
            return value
    raise InputError(f"`model_options`={pair[:200]!r}: give {wanted}")


def _read_word(pair: str, text: str, words: tuple[str, ...]) -> str:
    word = text.strip("'\"")
    if word not in words:
        raise InputError(f"`model_options`={pair[:200]!r}: choose one of {', '.join(words)}")
    return word


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
