"""Flags and help of a command, made from the dataclasses of its options."""

import dataclasses
import os
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from absl import flags

from hsi_jax.errors import HsiJaxError, InputError, name_flags
from hsi_jax.options import declared, from_values

HELP = ("--help", "-help", "-h", "--helpshort")

# What other programs call some flags.
HABITS = {
    **dict.fromkeys(("lr", "base_lr"), "learning_rate"),
    **dict.fromkeys(("epoch", "max_epochs", "num_epochs"), "epochs"),
    **dict.fromkeys(("batch", "bs", "train_batch_size"), "batch_size"),
    **dict.fromkeys(("optim", "optimiser"), "optimizer"),
    **dict.fromkeys(("wd",), "weight_decay"),
    **dict.fromkeys(("arch", "network", "backbone"), "model"),
    **dict.fromkeys(("data", "root", "dataset_dir", "data_root"), "data_dir"),
    **dict.fromkeys(("out", "out_dir", "output_dir", "outdir", "save_dir", "logdir"), "workdir"),
    **dict.fromkeys(("patch", "window_size"), "patch_size"),
    **dict.fromkeys(("pca", "n_components", "num_components"), "components"),
    **dict.fromkeys(("gpus", "devices", "speeds"), "profile"),
    **dict.fromkeys(("early_stopping", "early_stop"), "patience"),
    **dict.fromkeys(("gradient_clip_val", "clip_grad", "max_grad_norm"), "clip_norm"),
    **dict.fromkeys(("ckpt", "resume_from"), "resume"),
    **dict.fromkeys(("pretrained", "finetune", "init_from"), "init"),
    **dict.fromkeys(("freeze_backbone", "freeze_encoder"), "freeze"),
}

BYTE_ORDER_MARK = "\ufeff"

# Arguments of the library that are flags under another name.
OTHER_NAMES = {"augmentations": "augment", "options": "model_options", "rgb_bands": "rgb"}

Options = TypeVar("Options")


class _IntegerOr(flags.IntegerParser):
    """Takes a whole number or a word."""

    def __init__(self, word: str):
        super().__init__()
        self._word = word
        self.syntactic_help = f"a whole number or {word}"

    def parse(self, argument: Any) -> Any:
        return argument if argument == self._word else super().parse(argument)


_DEFINE: dict[type, Callable] = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    tuple: flags.DEFINE_list,
}


_defined: set[str] = set()  # names of all flags of this program, which messages tell


def define_flags(options: type, values: flags.FlagValues) -> None:
    """Defines a flag for each option of a class."""
    for field, _, _ in declared(options):
        _defined.add(field.name)
        default: Any = field.default
        if isinstance(default, tuple):  # absl takes lists alone
            default = list(default)
        given = field.name, default, field.metadata["help"]
        if word := field.metadata["word"]:
            flags.DEFINE(_IntegerOr(word), *given, flag_values=values)
        elif field.metadata["kind"] is list:  # the flag may be given several times
            flags.DEFINE_multi_string(*given, flag_values=values)
        else:
            _DEFINE[field.metadata["kind"]](*given, flag_values=values)


def options_from_flags(options: type[Options], values: flags.FlagValues, **others: Any) -> Options:
    """The options that the parsed flags describe; `others` are set instead of flags.

    Raises:
        InputError: on a value that cannot be used.
    """
    given = {}
    for field, _, _ in declared(options):
        value = others.get(field.name, values[field.name].value)
        if field.metadata["path"] and value:
            value = expand_home(value, f"--{field.name}={value}")
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return from_values(options, others | given)


def expand_home(path: str, given: str) -> str:
    """A path in which ~ is the home folder.

    Args:
        path: as it was typed.
        given: what messages call it.

    Raises:
        InputError: if there is no such home folder.
    """
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise InputError(
            f"{given}: there is no such home folder; write ./{path} for a file or folder "
            f"of this name"
        )
    return expanded


def parse_flags(
    argv: Sequence[str],
    help_text: Callable[[], str],
    values: flags.FlagValues,
    hint: str = "; flags look like --name=value",
    *,
    takes_arguments: bool = False,
) -> list[str]:
    """Parses a command line; prints the help where it is asked for.

    Args:
        argv: program and arguments.
        help_text: makes the help.
        values: where the flags are defined.
        hint: what to say of an argument that is no flag.
        takes_arguments: whether there may be such arguments.

    Returns:
        The arguments that are no flags.

    Raises:
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    if any(argument in HELP for argument in argv[1:]):
        print(help_text())
        sys.exit(0)
    try:
        rest = values(_read_flag_files(argv, values))
    except flags.UnrecognizedFlagError as error:
        meant = HABITS.get(str(error.flagname), "")
        if meant in values:
            fail(f"--{error.flagname} is called --{meant} here")
        fail(f"{error}{hint}")
    except flags.Error as error:
        fail(f"{error}{hint}")
    except UnicodeDecodeError:
        fail("--flagfile: the file is not text in UTF-8; save it as such")
    if len(rest) > 1 and not takes_arguments:
        fail(f"{rest[1]!r} is not a flag{hint}")
    return rest[1:]


def _read_flag_files(argv: Sequence[str], values: flags.FlagValues) -> list[str]:
    """A command line with the flags of flag files in place of these files.

    Programs of Windows begin a file with a byte order mark, which is no part of its first line.
    """
    arguments = [argv[0]]
    for argument in values.read_flags_from_files(argv[1:], force_gnu=False):
        text = argument.removeprefix(BYTE_ORDER_MARK)
        if text == argument or (text and not text.startswith(("#", "//"))):
            arguments.append(text)
    return arguments


def parse_options(
    argv: Sequence[str], options: type[Options], help_text: Callable[[], str]
) -> Options:
    """The options of a command that takes no other arguments.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    values = flags.FlagValues()
    define_flags(options, values)
    parse_flags(argv, help_text, values)
    return options_from_flags(options, values)


def parse_with_arguments(
    argv: Sequence[str], options: type[Options], help_text: Callable[[], str]
) -> tuple[Options, list[str]]:
    """The options of a command that takes other arguments, such as folders, before or after them.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags may follow the arguments
    define_flags(options, values)
    arguments = parse_flags(argv, help_text, values, takes_arguments=True)
    return options_from_flags(options, values), arguments


def parse_command(
    argv: Sequence[str], options: type[Options], help_text: Callable[[], str]
) -> tuple[Options, list[str]]:
    """The options of a command that starts runs, and the flags of these runs, which follow --.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    argv = list(argv)
    end = argv.index("--") if "--" in argv else len(argv)
    values = flags.FlagValues()
    define_flags(options, values)
    parse_flags(argv[:end], help_text, values, "; the flags of experiments.run go after --")
    return options_from_flags(options, values), argv[end + 1 :]


def fail(error: object, exit_code: int = 2) -> NoReturn:
    """Ends the program with one line on stderr, by default as for a user's mistake."""
    print(f"error: {message_of(error)}", file=sys.stderr)
    sys.exit(exit_code)


def message_of(error: object) -> str:
    """The message of an error in one line, in which arguments are called by their flags."""
    text = " ".join(str(error).split())
    return with_flags(text) if isinstance(error, HsiJaxError) else text


def with_flags(text: str) -> str:
    """A text of the library in which arguments are called by their flags."""
    others = {name: flag for name, flag in OTHER_NAMES.items() if flag in _defined}
    return name_flags(text, {name: name for name in _defined} | others)


def help_text(usage: str, options: type, *, end: str = "") -> str:
    """How to use a command, and all its flags by heading, with their values and defaults."""
    names = {field.name: field.name for field, _, _ in declared(options)}
    lines, last = [usage], None
    for field, _, heading in declared(options):
        if heading != last:
            lines.append(f"{heading}:")
            last = heading
        lines.append(_describe(field, names))
    return "\n".join([*lines, *(["", end] if end else [])])


def _describe(field: dataclasses.Field, names: Mapping[str, str]) -> str:
    text = name_flags(field.metadata["help"], names)
    if field.metadata["choices"]:
        text += f": {', '.join(field.metadata['choices'])}"
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    if field.metadata["kind"] is not bool and default not in (None, ""):
        text += f" [{default}]"
    return textwrap.fill(
        text, 98, initial_indent=f"{f'  --{field.name}':<26}", subsequent_indent=" " * 26
    )


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Columns as wide as their longest cell.

    Args:
        header: a name for each column.
        rows: their cells.
        right: names of columns whose cells end on the right, as numbers do, between commas.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    numbers = right.split(",")
    lines = [
        "  ".join(
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        ).rstrip()
        for row in (header, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(lines)
