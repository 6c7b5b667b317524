"""The options of a run that starts from a trained model: its network, options and patch size."""

from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.models import BUILT_IN, name_model, parse_options
from hsi_jax.options import values, with_values
from hsi_jax.session.options import RunOptions
from hsi_jax.trained.starting import Start


def begin_with(options: RunOptions, start: Start | None = None) -> tuple[RunOptions, Start | None]:
    """The options with the network of the model that they start from, and that model.

    Args:
        options: of a run.
        start: a model, instead of that of `init`.

    Raises:
        InputError: if there is no such model, it takes other data, or an option contradicts it.
    """
    if start is None and not options.learning.init:
        return options, None
    factory = options.model.model if options.model.model not in BUILT_IN else None
    start = start or Start.of(options.learning.init, factory)
    known = start.model.description
    kind = "image" if options.data.is_image_set else "patch"
    if known.kind != kind:
        takes = "whole images" if known.kind == "image" else "patches of a scene"
        raise InputError(f"`init`: the model of {start.source} takes {takes}; give another one")
    found: dict[str, Any] = {"model": known.architecture, "model_options": known.options}
    if kind == "patch":
        found["patch_size"] = known.input_shape[0]
    given = values(options)
    if factory is not None:
        found["model"] = factory
    for name, value in found.items():
        if given[name] and not _same(name, given, value):
            shown = name_model(given[name]) if name == "model" else given[name]
            raise InputError(
                f"`{name}`={shown}: the model of {start.source} has {value}; leave it out"
            )
    return with_values(options, **found), start


def _same(name: str, given: dict[str, Any], value: Any) -> bool:
    if name != "model_options" or given["model"] is None:
        return given[name] == value
    network = given["model"]
    return parse_options(network, given[name]) == parse_options(network, value)
