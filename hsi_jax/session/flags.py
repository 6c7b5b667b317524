"""The options of a run, read from flags: its own, or those that another command passes on."""

from collections.abc import Callable, Collection, Sequence

from absl import flags

from hsi_jax.command_line import define_flags, options_from_flags, parse_flags
from hsi_jax.errors import InputError
from hsi_jax.session.options import RunOptions
from hsi_jax.session.protocols import find_protocol


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
    name = given["protocol"].value
    options = dict(find_protocol(name).options) if name else {}
    set_here = {key: value for key, value in options.items() if not given[key].present}
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
    parse_flags(["run", *run_flags], help_text, given, hint="")
    return given


def _refuse(given: flags.FlagValues, names: Collection[str]) -> None:
    for name in names:
        if given[name].present:
            raise InputError(f"`{name}` after --: it is set for each run; leave it out")
