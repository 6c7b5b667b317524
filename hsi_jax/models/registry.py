"""Models by name, checked against the patches or images they will see."""

import ast
import dataclasses
from collections.abc import Callable
from typing import Any, get_args

from flax import linen as nn

from hsi_jax.errors import InputError
from hsi_jax.models.cnn1d import CNN1D
from hsi_jax.models.cnn2d import CNN2D
from hsi_jax.models.cnn3d import CNN3D
from hsi_jax.models.densenet import DenseNet121
from hsi_jax.models.hybridsn import HybridSN
from hsi_jax.models.mlp import MLP
from hsi_jax.models.own import check_module, import_factory
from hsi_jax.models.resnet import ResNet18, ResNet20, ResNet34, ResNet50, ResNet101
from hsi_jax.models.vgg import VGG16

MODELS = {
    "mlp": MLP,
    "cnn1d": CNN1D,
    "cnn2d": CNN2D,
    "cnn3d": CNN3D,
    "hybridsn": HybridSN,
    "resnet18": ResNet18,
    "resnet20": ResNet20,
    "resnet34": ResNet34,
    "resnet50": ResNet50,
    "resnet101": ResNet101,
    "vgg16": VGG16,
    "densenet121": DenseNet121,
}

# What a model says of itself by class attributes, and what holds where it says nothing.
TRAITS = {
    "kinds": ("patch", "image"),  # what it takes: patches of a scene, images, or both
    "smallest_patch_size": 1,  # side of a patch or image, pixels
    "largest_patch_size": None,
    "smallest_bands": 1,
    "default_patch_size": 11,
    "default_components": 0,  # principal components; 0 is all bands
}

_NO_OPTIONS = {"num_classes", "parent", "name"}


def find_model(name: str) -> Callable[..., nn.Module]:
    """The class of a model, or the user's own factory; call it with num_classes and options.

    Args:
        name: of `MODELS`, or package.module:factory.

    Raises:
        InputError: listing the names there are; or as `import_factory`.
    """
    if ":" in name:
        return import_factory(name)
    if name not in MODELS:
        raise InputError(
            f"--model={name}: choose one of {', '.join(MODELS)}, or your own as "
            f"package.module:factory"
        )
    return MODELS[name]


def build_model(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    """Makes the network.

    Raises:
        InputError: if a user's own factory refuses the options or makes no usable module.
    """
    factory = find_model(name)
    if name in MODELS:
        return factory(num_classes=num_classes, **options)
    try:
        module = factory(num_classes=num_classes, **options)
    except TypeError as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise InputError(
            f"--model={name} cannot be called with num_classes={num_classes}"
            f"{' and ' if given else ''}{given}: {error}"
        ) from error
    check_module(name, module)
    return module


def find_trait(name: str, trait: str) -> Any:
    """What a model says of itself, or what `TRAITS` says."""
    return getattr(find_model(name), trait, TRAITS[trait])


def parse_options(name: str, text: str) -> dict[str, Any]:
    """Reads a model's options, such as "features=(32, 32); dropout=0.5; dtype=bfloat16".

    Args:
        name: of `MODELS`, or package.module:factory, whose options may be any literals.
        text: `option=value` pairs between semicolons; a value is a Python literal, or one of the
            words that the option takes.

    Raises:
        InputError: for an unknown option or a value of another type than its default.
    """
    model = find_model(name)
    pairs = [pair.strip() for pair in text.split(";") if pair.strip()]
    if name not in MODELS:
        return dict(_read_literal(pair) for pair in pairs)
    fields = {f.name: f for f in dataclasses.fields(model) if f.name not in _NO_OPTIONS}
    options = {}
    for pair in pairs:
        option, _, value = (part.strip() for part in pair.partition("="))
        if option not in fields:
            allowed = "; ".join(f"{key}={field.default}" for key, field in fields.items())
            raise InputError(f"model option {pair!r}: {name} has the options {allowed}")
        options[option] = _read_value(f"model option {pair!r}", value, fields[option])
    return options


def check_kind(name: str, kind: str) -> None:
    """Checks that a model takes inputs of a kind, "patch" or "image".

    Raises:
        InputError: listing the models that do.
    """
    kinds = find_trait(name, "kinds")
    if kind not in kinds:
        fitting = ", ".join(other for other in MODELS if kind in find_trait(other, "kinds"))
        raise InputError(
            f"--model={name} takes {' or '.join(map(_plural, kinds))}, but the data are "
            f"{_plural(kind)}; choose one of {fitting}"
        )


def check_input(name: str, patch_size: int, bands: int, kind: str = "patch") -> None:
    """Checks that a model can take patches, or images, of this size.

    Args:
        name: of the model.
        patch_size: side of the patches, or shorter side of the images, pixels.
        bands: bands or components.
        kind: "patch" or "image".

    Raises:
        InputError: naming the flag to change.
    """
    check_kind(name, kind)
    least = find_trait(name, "smallest_patch_size")
    most = find_trait(name, "largest_patch_size") or patch_size
    if not least <= patch_size <= most:
        bound = f"at least {least}" if patch_size < least else f"at most {most}"
        flag = "--patch_size=" if kind == "patch" else "images of side "
        raise InputError(f"{flag}{patch_size}: {name} takes {_plural(kind)} of {bound}")
    fewest = find_trait(name, "smallest_bands")
    if bands < fewest:
        raise InputError(
            f"{name} needs at least {fewest} bands or components, but gets {bands}; "
            f"raise --components or choose another --model"
        )


def _plural(kind: str) -> str:
    return {"patch": "patches", "image": "images"}[kind]


def _read_literal(pair: str) -> tuple[str, Any]:
    option, _, value = (part.strip() for part in pair.partition("="))
    if not option.isidentifier() or option in _NO_OPTIONS:
        raise InputError(f"model option {pair!r}: give option=value")
    try:
        return option, ast.literal_eval(value)
    except (SyntaxError, TypeError, ValueError):
        raise InputError(
            f"model option {pair!r}: give a Python literal, such as 3, 0.5, True, (8, 8) or 'text'"
        ) from None


def _read_value(what: str, text: str, field: dataclasses.Field) -> Any:
    default = field.default
    if isinstance(default, str):
        return _read_word(what, text, get_args(field.type))
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


def _read_word(what: str, text: str, words: tuple[str, ...]) -> str:
    word = text.strip("'\"")
    if word not in words:
        raise InputError(f"{what}: choose one of {', '.join(words)}")
    return word


def _is_size(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
