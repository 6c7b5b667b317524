"""Flags at the edge: they are made from the fields of `Config` and become one `Config`."""

import dataclasses
import sys
import textwrap
from collections.abc import Callable

from absl import flags

from experiments.config import Config
from hsi_jax.hetero import PRESETS

_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
}


class _IntegerOr(flags.IntegerParser):
    """Takes a whole number or a word."""

    def __init__(self, word: str):
        super().__init__()
        self._word = word
        self.syntactic_help = f"a whole number or {word}"

    def parse(self, argument):
        return argument if argument == self._word else super().parse(argument)


_USAGE = """\
Trains a classifier of hyperspectral pixels, or of images, on devices of uneven speed.

  python -m experiments.run                                    built-in scene, no download
  python -m experiments.run --dataset=salinas_a --data_dir=DIR --train_fraction=0.1
  python -m experiments.run --dataset=eurosat --augment=flip,rotate
  python -m experiments.run --profile=8:1:1:1 --scheme=even    what DDP would do
"""


def define_flags() -> None:
    """Defines a flag for each field of `Config`."""
    for field in dataclasses.fields(Config):
        given = field.name, field.default, field.metadata["help"]
        if word := field.metadata["word"]:
            flags.DEFINE(_IntegerOr(word), *given)
        else:
            _DEFINE[field.metadata["kind"]](*given)


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line for `absl.app.run`; prints our own help, grouped.

    Raises:
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    _print_help(argv, help_text)
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        fail(error)
    if len(rest) > 1:
        fail(f"{rest[1]!r} is not a flag; flags look like --dataset=synthetic")
    return rest


def parse_own_flags(
    own: flags.FlagValues, argv: list[str], help_text: Callable[[], str]
) -> list[str]:
    """Parses the flags of a program that starts runs, up to --; returns the run's, after it.

    Raises:
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    _print_help(argv[:end], help_text)
    try:
        rest = own(argv[:end])
    except flags.Error as error:
        fail(f"{error}; the flags of experiments.run go after --")
    if len(rest) > 1:
        fail(f"{rest[1]!r} is not a flag; the flags of experiments.run go after --")
    return argv[end + 1 :]


def _print_help(argv: list[str], help_text: Callable[[], str]) -> None:
    """Prints the help, where it is asked for, and ends the program."""
    if any(argument in ("--help", "-help", "-h", "--helpshort") for argument in argv[1:]):
        print(help_text())
        sys.exit(0)


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
