"""The options of a run, read from flags: its own, or those that another command passes on."""

import tomllib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from hsi_jax.command_line import define_flags, options_from_flags, parse_flags
from hsi_jax.errors import InputError
from hsi_jax.json_file import read_json, read_text
from hsi_jax.options import defaults
from hsi_jax.session.options import RunOptions
from hsi_jax.session.protocols import PROTOCOLS, check_protocol

CONFIG = "config"
CONFIG_HELP = "file of options: the config.json of a run, .toml or .yaml"
# Options that say where a run is and how it is started, not what it computes.
PLACES = ("workdir", "overwrite", "resume", "coordinator", "num_processes", "process_id")
OWN_TO_A_RUN = (*PLACES, "devices_per_process")
MAY_NAME_CODE = ("model", "loss", "optimizer", "schedule", "scheme", "augment", "split")


def parse_run(
    run_flags: Sequence[str],
    set_by_launcher: Collection[str] = (),
    *,
    help_text: Callable[[], str] = lambda: "",
) -> RunOptions:
    """The run that flags describe; those that are not given are the protocol's, or the defaults.

    Args:
        run_flags: without the name of the program.
        set_by_launcher: names of flags that another command sets itself.
        help_text: makes the help.

    Raises:
        InputError: on a value that cannot be used, or a flag that must not be given.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    given = _parse(run_flags, help_text)
    _refuse(given, set_by_launcher)
    path = given[CONFIG].value
    kept = read_settings(path) if path else {}
    name = given["protocol"].value or kept.get("protocol", "")
    options = kept | (dict(PROTOCOLS.find(name).options) if name else {})
    set_here = {key: value for key, value in options.items() if not given[key].present}
    if name:  # here, so that what contradicts it is named, and not an option that it sets itself
        unset = defaults(RunOptions)
        check_protocol(name, {key: given[key].value for key in unset} | set_here, unset)
    return options_from_flags(RunOptions, given, **set_here)


def refuse_flags(run_flags: Sequence[str], names: Collection[str]) -> None:
    """Checks that some flags are not among those of runs.

    Raises:
        InputError: naming a flag that must not be given.
        SystemExit: with one line on stderr, on a flag that is unknown.
    """
    _refuse(_parse(run_flags, lambda: ""), names)


def _parse(run_flags: Sequence[str], help_text: Callable[[], str]) -> flags.FlagValues:
    given = flags.FlagValues()
    define_flags(RunOptions, given)
    flags.DEFINE_string(CONFIG, None, CONFIG_HELP, flag_values=given)
    parse_flags(["run", *run_flags], help_text, given, hint="")
    return given


def read_settings(path: str) -> dict[str, Any]:
    """The options that a file holds, also by groups: JSON, as a run's config.json, TOML or YAML.

    Where a run was and how it was started is left out.

    Raises:
        InputError: if the file cannot be read, holds what is no option, or names code to be run.
    """
    content, as_flags = _read_file(path)
    if not isinstance(content, dict):
        raise InputError(f"`{CONFIG}`={path} does not hold options by name")
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= value if isinstance(value, dict) else {key: value}
    known = _parse([], lambda: "")
    for key, value in flat.items():
        if key not in defaults(RunOptions):
            raise InputError(f"`{CONFIG}`={path}: {str(key)[:100]} is not an option of a run")
        if not _is_plain(value):
            raise InputError(f"`{CONFIG}`={path}: `{key}` is neither a value nor a list of values")
        if key in MAY_NAME_CODE and isinstance(value, str) and ":" in value:
            raise InputError(
                f"`{CONFIG}`={path} names code to be run, `{key}`={value}; if you trust it, give "
                f"it as a flag of its own"
            )
        if as_flags:
            flat[key] = _read_flag(known[key], value, path)
    return {key: value for key, value in flat.items() if key not in OWN_TO_A_RUN}


def _read_file(path: str) -> tuple[Any, bool]:
    """What a file of options holds, and whether its values are text, to be read as flags."""
    try:
        match Path(path).suffix.lower():
            case ".toml":
                return tomllib.loads(read_text(path)), False
            case ".yaml" | ".yml":
                return _read_yaml(read_text(path)), True
            case _:
                return read_json(path), False
    except (ValueError, RecursionError) as error:
        raise InputError(f"`{CONFIG}`={path} cannot be read: {error}") from None


def _read_yaml(text: str) -> Any:
    import yaml  # here, because few runs need it

    try:
        # All as text: YAML takes 2:1:1 for a number of base 60, and 1e-3 for no number.
        return yaml.load(text, yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _is_plain(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(each is None or isinstance(each, str | int | float) for each in values)


def _read_flag(flag: flags.Flag, text: Any, path: str) -> Any:
    """The value that the text, or the list of texts, would have as a flag."""
    text = ",".join(text) if isinstance(text, list) else text
    if text == "null":
        return flag.default
    try:
        value = flag.parser.parse(text)
    except ValueError as error:
        raise InputError(f"`{CONFIG}`={path}: `{flag.name}`={text}: {error}") from None
    return tuple(value) if isinstance(value, list) else value


def _refuse(given: flags.FlagValues, names: Collection[str]) -> None:
    for name in names:
        if given[name].present:
            raise InputError(f"`{name}` after --: it is set for each run; leave it out")
