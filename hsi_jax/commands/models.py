"""Lists the networks that are known by name: `python -m experiments.models --help`."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hsi_jax.command_line import fail, help_text, parse_options, text_table
from hsi_jax.errors import HsiJaxError, InputError
from hsi_jax.models import MODELS, build_model, check_input, find_model, find_trait
from hsi_jax.models.options import default_options, options_to_text
from hsi_jax.options import check_options, option

USAGE = """\
Lists the networks that --model of experiments.run knows by name. Parameters depend on the input:
they are counted for a scene of --bands, or for images of --image_size with three channels.

  python -m experiments.models
  python -m experiments.models --bands=103 --classes=9

Your own network is --model=package.module:factory: see docs/guide.md.
"""


@dataclass(frozen=True)
class ModelsOptions:
    """For which input parameters are counted.

    Raises:
        InputError: on a value that cannot be used.
    """

    bands: int = option(200, "bands of the scene", at_least=1, heading="Input")
    image_size: int = option(64, "side of the images", at_least=1, heading="Input")
    classes: int = option(16, "classes", at_least=2, heading="Input")
    json: bool = option(False, "print JSON, for programs", heading="Output")

    def __post_init__(self):
        check_options(self)


def describe_models(options: ModelsOptions) -> list[dict[str, Any]]:
    """The facts about every network, as JSON holds them; `parameters` is None where none fits."""
    return [_describe(name, options) for name in MODELS]


def _describe(name: str, options: ModelsOptions) -> dict[str, Any]:
    kinds = find_trait(name, "kinds")
    components = min(find_trait(name, "default_components"), options.bands)
    shape = (options.image_size, options.image_size, 3)
    if "patch" in kinds:
        size = find_trait(name, "default_patch_size")
        shape = (size, size, components or options.bands)
    return {
        "name": name,
        "kinds": list(kinds),
        "summary": (find_model(name).__doc__ or "").partition("\n")[0],
        "default_patch_size": find_trait(name, "default_patch_size") if "patch" in kinds else None,
        "default_components": components if "patch" in kinds else None,
        "min_patch_size": find_trait(name, "min_patch_size"),
        "max_patch_size": find_trait(name, "max_patch_size"),
        "min_bands": find_trait(name, "min_bands"),
        "input_shape": list(shape),
        "classes": options.classes,
        "parameters": count_parameters(name, shape, options.classes),
        "found_by_fit": list(find_trait(name, "found_by_fit")),
        "options": options_to_text(default_options(name)),
    }


def count_parameters(name: str, shape: tuple[int, int, int], classes: int) -> int | None:
    """Trained numbers of a network with its default options; None if they are not known before.

    That is where it cannot take such inputs, and where a fit finds how many there are.

    Args:
        name: of the network.
        shape: of one input.
        classes: C.
    """
    import jax  # here, because --help does without it

    if find_trait(name, "found_by_fit"):
        return None
    kind = "patch" if "patch" in find_trait(name, "kinds") else "image"
    try:
        check_input(name, shape[0], shape[2], kind)
    except InputError:
        return None
    module = build_model(name, classes, {})
    inputs = jax.ShapeDtypeStruct((1, *shape), "float32")
    variables = jax.eval_shape(module.init, jax.random.key(0), inputs)  # computes nothing
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def format_models(models: Sequence[dict[str, Any]]) -> str:
    """A table, and the options of each network."""
    header = ["model", "takes", "patch", "components", "counted for", "parameters"]
    rows = [
        [
            each["name"],
            ", ".join({"patch": "patches", "image": "images"}[kind] for kind in each["kinds"]),
            _number(each["default_patch_size"]),
            "all bands" if each["default_components"] == 0 else _number(each["default_components"]),
            " x ".join(map(str, each["input_shape"])),
            _count(each),
        ]
        for each in models
    ]
    lines = [
        f"Networks, with their defaults, for {models[0]['classes']} classes",
        "",
        text_table(header, rows, "patch,components,parameters"),
        "",
        "What they are, and their --model_options",
    ]
    for each in models:
        start = f"  {each['name']:<15}"
        text = f"{each['summary']} {each['options']}"
        lines.append(
            textwrap.fill(text, 98, initial_indent=start, subsequent_indent=" " * len(start))
        )
    return "\n".join(lines)


def _count(model: dict[str, Any]) -> str:
    if model["parameters"] is None:
        return "by the fit" if model["found_by_fit"] else "too small"
    return f"{model['parameters']:,}"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def models_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, ModelsOptions)


def main(argv: Sequence[str]) -> None:
    """Prints what the flags ask for."""
    try:
        options = parse_options(argv, ModelsOptions, models_help)
    except HsiJaxError as error:
        fail(error)
        return
    models = describe_models(options)
    print(json.dumps(models, indent=2) if options.json else format_models(models))
