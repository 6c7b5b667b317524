"""The network of a trained model, and the arrays that it needs, told before any of them is read.

What a file says chooses among the networks of `MODELS` and sets their options; no name in it is
imported. Sizes are bounded by the arrays that come with it, and nothing is computed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from hsi_jax.errors import InputError
from hsi_jax.models import MODELS, Model, build_model, find_trait, parse_options
from hsi_jax.models.encoder import build_autoencoder
from hsi_jax.trained.description import PRETRAINED, Description

MAX_OPTION = 2**16  # a width or depth that a user chooses, not one that a fit finds
CALLS_PER_ARRAY = 10  # of modules: activations and dropout have no arrays

PREPROCESSING = "preprocessing"


class Layout(NamedTuple):
    """Shape and dtype of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"an array {list(self.shape)} of {self.dtype}"


def choose_network(description: Description, factory: Model | None, source: str) -> Model:
    """What makes the network of a model: one of `MODELS` by its name, or the caller's factory.

    Raises:
        InputError: if the network is another one and the caller has given no factory.
    """
    if factory is not None:
        return factory
    if description.architecture not in MODELS:
        raise InputError(
            f"`factory`: the network of {source} is {description.architecture!r}, which is not one "
            f"of hsi_jax, and a name in a file is never imported; if you trust it, name it, or "
            f"your own, as `factory`"
        )
    return description.architecture


def build_network(network: Model, description: Description) -> nn.Module:
    """Makes the network.

    Raises:
        InputError: if it cannot be made with the model's options.
    """
    options = parse_options(network, description.options)
    if description.task == PRETRAINED:
        return build_autoencoder(network, options)
    return build_model(network, len(description.class_names), options)


def flatten(trees: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a tree of dictionaries, by name; "/" separates its levels."""
    return traverse_util.flatten_dict(dict(trees), sep="/")


def unflatten(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The tree whose `flatten` was given."""
    return traverse_util.unflatten_dict(dict(arrays), sep="/")


def check_arrays(
    description: Description,
    factory: Model | None,
    arrays: Mapping[str, Layout] | Mapping[str, np.ndarray],
    source: str,
) -> None:
    """Checks that the arrays of a model are those that its network and preprocessing need.

    Args:
        description: of the model.
        factory: of the network, where the caller gives one; see `choose_network`.
        arrays: the arrays, or their layouts, by name.
        source: where they come from, for messages.

    Raises:
        InputError: naming an array that is missing, in excess or of another layout; or as
            `choose_network`.
    """
    network = choose_network(description, factory, source)
    found = {name: Layout(array.shape, array.dtype) for name, array in arrays.items()}
    expected = _network_layouts(description, network, found, source)
    expected |= _preprocessing_layouts(description, found)
    for name in sorted(expected.keys() | found.keys()):
        wanted, given = expected.get(name), found.get(name)
        if wanted != given:
            raise InputError(
                f"the weights of {source} do not fit {description.architecture}: {name[:200]} is "
                f"{given or 'missing'}, but the architecture has {wanted or 'none'}"
            )


def check_values(arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Checks that all numbers are finite, and that nothing is divided by 0.

    Raises:
        InputError: naming an array with such a number.
    """
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"the weights of {source}: {name} has numbers that are not finite")
    scale = arrays.get(f"{PREPROCESSING}/scale")
    if scale is not None and not (scale > 0).all():
        raise InputError(f"the weights of {source}: {PREPROCESSING}/scale must be above 0")


def _network_layouts(
    description: Description, network: Model, found: Mapping[str, Layout], source: str
) -> dict[str, Layout]:
    _bound_options(description, network, found.values(), source)
    module = build_network(network, description)
    shape, calls = (1, *description.input_shape), 0

    def count(call, args, kwargs, context):
        nonlocal calls
        calls += 1
        if calls > CALLS_PER_ARRAY * (len(found) + CALLS_PER_ARRAY):
            raise InputError("it has more layers than there are arrays for")
        return call(*args, **kwargs)

    try:
        with nn.intercept_methods(count):
            # Nothing is computed, so JAX need not start its devices, and no size takes memory.
            made = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros(shape)))
    except Exception as error:  # whatever a network does with sizes that are none
        raise InputError(
            f"{source}: {description.architecture} cannot be made with `options`="
            f"{description.options[:200]!r} for `input_shape`={description.input_shape}: "
            f"{str(error)[:300]}"
        ) from error
    leaves = flatten(made)
    return {name: Layout(leaf.shape, leaf.dtype) for name, leaf in leaves.items()}


def _preprocessing_layouts(
    description: Description, found: Mapping[str, Layout]
) -> dict[str, Layout]:
    if description.kind == "image":
        return {}
    bands, channels = description.num_bands, description.input_shape[-1]
    shapes: dict[str, tuple[int, ...]] = {"mean": (bands,), "scale": (channels,)}
    if f"{PREPROCESSING}/components" in found or channels != bands:
        shapes["components"] = channels, bands
    double = np.dtype(np.float64)
    return {f"{PREPROCESSING}/{name}": Layout(shape, double) for name, shape in shapes.items()}


def _bound_options(
    description: Description, network: Model, found: Iterable[Layout], source: str
) -> None:
    """Checks that no size of a built-in network is beyond what its arrays can hold.

    Every width is at most the largest dimension of an array, and every depth the number of arrays.
    """
    if not isinstance(network, str):
        return  # the caller's own, whose options may mean anything
    shapes = [layout.shape for layout in found]
    largest = max(len(shapes), *(size for shape in shapes for size in shape), 1)
    by_fit = find_trait(network, "found_by_fit")
    sizes = {"class_names": len(description.class_names)}
    for name, value in parse_options(network, description.options).items():
        numbers = [n for n in np.ravel(np.array(value, object)) if isinstance(n, int)]
        sizes[name] = max(numbers, default=0)
    for name, size in sizes.items():
        if size > largest or (size > MAX_OPTION and name not in by_fit):
            raise InputError(
                f"{source}: the arrays do not fit `{name}` of {description.architecture}: it has "
                f"{size}, but the largest of their dimensions is {largest}"
            )
