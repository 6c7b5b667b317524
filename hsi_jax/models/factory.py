"""Models named as package.module:factory, ours and those of users."""

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from hsi_jax.errors import InputError

if TYPE_CHECKING:
    from flax import linen as nn

_WANTED = (
    "write __call__(self, x, *, train=False, mask=None), where mask is 0 for samples that only pad "
    "the microbatch"
)


def import_factory(name: str) -> "Callable[..., nn.Module]":
    """Imports the class or function of that name, from any folder on Python's path.

    ``python -m`` puts the working folder on it.

    Args:
        name: package.module:factory.

    Raises:
        InputError: if there is no such module or attribute, or it cannot be called.
    """
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise InputError(f"`model`={name}: give package.module:factory, such as mynet:make")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"`model`={name}: {module_name} cannot be imported ({error}); start in the folder "
            f"that holds it, or install it"
        ) from error
    if not hasattr(module, attribute):
        public = [key for key, value in vars(module).items() if key[0] != "_" and callable(value)]
        raise InputError(
            f"`model`={name}: {module_name} has no {attribute!r}; it has {', '.join(public)}"
        )
    factory = getattr(module, attribute)
    if not callable(factory):
        raise InputError(
            f"`model`={name}: {attribute} is a {type(factory).__name__} and cannot be called; name "
            f"a function or class that takes num_classes"
        )
    return cast("Callable[..., nn.Module]", factory)


def check_module(name: str, module: object) -> None:
    """Checks that what a factory has returned can be trained.

    Raises:
        InputError: unless it is a module of flax.linen that can be called as our models are.
    """
    from flax import linen as nn  # here, because finding a model must not wait for Flax

    if not isinstance(module, nn.Module):
        raise InputError(
            f"`model`={name} returns a {type(module).__name__}; it must return an instance of "
            f"flax.linen.Module"
        )
    try:
        signature = inspect.signature(module.__call__)
    except AttributeError:
        raise InputError(
            f"`model`={name}: {type(module).__name__} has no method __call__; {_WANTED}"
        ) from None
    try:
        signature.bind(None)
        signature.bind(None, train=True, mask=None)
    except TypeError as error:
        raise InputError(
            f"`model`={name}: {type(module).__name__} has __call__{signature} ({error}); {_WANTED}"
        ) from error
