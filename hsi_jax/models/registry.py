"""Models by name, checked against the patches they will see."""

import ast
import dataclasses

from flax import linen as nn

from hsi_jax.errors import InputError
from hsi_jax.models.cnn1d import CNN1D
from hsi_jax.models.cnn2d import CNN2D
from hsi_jax.models.cnn3d import CNN3D
from hsi_jax.models.hybridsn import HybridSN
from hsi_jax.models.mlp import MLP

MODELS = {"mlp": MLP, "cnn1d": CNN1D, "cnn2d": CNN2D, "cnn3d": CNN3D, "hybridsn": HybridSN}

_NO_OPTIONS = {"num_classes", "parent", "name"}


def find_model(name: str) -> type[nn.Module]:
    """The class of a model.

    Raises:
        InputError: listing the names there are.
    """
    if name not in MODELS:
        raise InputError(f"model {name!r} is unknown; choose one of {', '.join(MODELS)}")
    return MODELS[name]


def parse_options(name: str, text: str) -> dict:
    """Reads a model's sizes, such as "features=(32, 32); dropout=0.5".

    Args:
        name: a model of `MODELS`.
        text: `option=value` pairs between semicolons; a value is a Python literal.

    Raises:
        InputError: for an unknown option or a value of another type than its default.
    """
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(find_model(name))
        if field.name not in _NO_OPTIONS
    }
    options = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        option, _, value = (part.strip() for part in pair.partition("="))
        if option not in defaults:
            allowed = "; ".join(f"{key}={default}" for key, default in defaults.items())
            raise InputError(f"model option {pair!r}: {name} has the options {allowed}")
        options[option] = _read_value(f"model option {pair!r}", value, defaults[option])
    return options


def check_input(name: str, patch_size: int, bands: int) -> None:
    """Checks that a model can take patches of this size.

    Raises:
        InputError: naming the flag to change.
    """
    model = find_model(name)
    least = model.smallest_patch_size
    most = getattr(model, "largest_patch_size", patch_size)
    if not least <= patch_size <= most:
        bound = f"at least {least}" if patch_size < least else f"at most {most}"
        raise InputError(f"--patch_size={patch_size}: {name} takes patches of {bound}")
    fewest = getattr(model, "smallest_bands", 1)
    if bands < fewest:
        raise InputError(
            f"{name} needs at least {fewest} bands or components, but gets {bands}; "
            f"raise --components or choose another --model"
        )


def _read_value(what: str, text: str, default):
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, TypeError, ValueError):
        value = None
    if isinstance(default, tuple):
        sound = isinstance(value, tuple | list) and all(_is_size(v) for v in value)
        sound = sound and len(value) == len(default)
        wanted = f"{len(default)} whole numbers >= 1 in parentheses, such as {default}"
    elif isinstance(default, float):
        sound = isinstance(value, int | float) and 0 <= value < 1
        wanted = f"a number from 0 to below 1, such as {default}"
    else:
        sound = _is_size(value)
        wanted = f"a whole number >= 1, such as {default}"
    if not sound:
        raise InputError(f"{what}: give {wanted}")
    return tuple(value) if isinstance(default, tuple) else value


def _is_size(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
