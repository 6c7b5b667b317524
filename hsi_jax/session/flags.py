"""The options of a run, read from flags: its own, or those that another command passes on."""

import tomllib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from hsi_jax.command_line import define_flags, options_from_flags, parse_flags
from hsi_jax.errors import InputError
from hsi_jax.json_file import read_json
from hsi_jax.options import defaults
from hsi_jax.session.options import RunOptions
from hsi_jax.session.protocols import PROTOCOLS, check_protocol

CONFIG = "config"
CONFIG_HELP = "file of options: the config.json of a run, or .toml; flags come first"
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
    """The options that a file holds: JSON, such as a run's config.json, or TOML, also by groups.

    Where a run was and how it was started is left out.

    Raises:
        InputError: if the file cannot be read, holds what is no option, or names code to be run.
    """
    try:
        if Path(path).suffix == ".toml":
            content: Any = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        else:
            content = read_json(Path(path))
    except (OSError, ValueError) as error:
        raise InputError(f"`{CONFIG}`={path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"`{CONFIG}`={path} does not hold options by name")
    flat = {}
    for key, value in content.items():
        flat |= value if isinstance(value, dict) else {key: value}
    unknown = sorted(flat.keys() - defaults(RunOptions).keys())
    if unknown:
        raise InputError(f"`{CONFIG}`={path}: {unknown[0]} is not an option of a run")
    for key, value in flat.items():
        if key in MAY_NAME_CODE and isinstance(value, str) and ":" in value:
            raise InputError(
                f"`{CONFIG}`={path} names code to be run, `{key}`={value}; if you trust it, give "
                f"it as a flag of its own"
            )
    return {key: value for key, value in flat.items() if key not in OWN_TO_A_RUN}


def _refuse(given: flags.FlagValues, names: Collection[str]) -> None:
    for name in names:
        if given[name].present:
            raise InputError(f"`{name}` after --: it is set for each run; leave it out")
