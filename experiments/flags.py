"""Flags at the edge: they are made from the fields of `Config` and become one `Config`."""

import dataclasses
import sys
import textwrap

from absl import flags

from experiments.config import Config
from hsi_jax.hetero import PRESETS

_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
}

_USAGE = """\
Trains a classifier of hyperspectral pixels on devices of uneven speed.

  python -m experiments.run                                    built-in scene, no download
  python -m experiments.run --dataset=salinas_a --data_dir=DIR --train_fraction=0.1
  python -m experiments.run --profile=8:1:1:1 --scheme=even    what DDP would do
"""


def define_flags() -> None:
    """Defines a flag for each field of `Config`."""
    for field in dataclasses.fields(Config):
        _DEFINE[field.metadata["kind"]](field.name, field.default, field.metadata["help"])


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line for `absl.app.run`; prints our own help, grouped.

    Raises:
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    if any(argument in ("--help", "-help", "-h", "--helpshort") for argument in argv[1:]):
        print(help_text())
        sys.exit(0)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        fail(error)
    if len(rest) > 1:
        fail(f"{rest[1]!r} is not a flag; flags look like --dataset=synthetic")
    return rest


def config_from_flags() -> Config:
    """The configuration that the parsed flags describe.

    Raises:
        InputError: see `Config`.
    """
    names = (field.name for field in dataclasses.fields(Config))
    return Config(**{name: flags.FLAGS[name].value for name in names})


def fail(error: object) -> None:
    """Ends the program with one line on stderr, as for a user's mistake."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(2)


def help_text() -> str:
    """All flags by group, with what they take and their defaults."""
    lines = [_USAGE]
    group = None
    for field in dataclasses.fields(Config):
        if field.metadata["group"] != group:
            group = field.metadata["group"]
            lines.append(f"{group}:")
        lines.append(_describe(field))
    presets = textwrap.fill(f"Presets of --profile: {_presets()}", 98, subsequent_indent="  ")
    lines += ["", presets]
    return "\n".join(lines)


def _describe(field: dataclasses.Field) -> str:
    text = field.metadata["help"]
    if field.metadata["choices"]:
        text += f": {', '.join(field.metadata['choices'])}"
    if field.metadata["kind"] is not bool and field.default not in (None, ""):
        text += f" [{field.default}]"
    return textwrap.fill(
        text, 98, initial_indent=f"{f'  --{field.name}':<26}", subsequent_indent=" " * 26
    )


def _presets() -> str:
    return ", ".join(f"{name} ({':'.join(map(str, s))})" for name, s in PRESETS.items())
