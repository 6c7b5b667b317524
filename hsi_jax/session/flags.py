"""The options of a run, read from flags: its own, or those that another command passes on."""

from collections.abc import Collection, Sequence

from absl import flags

from hsi_jax.command_line import options_from_flags, parse_flags
from hsi_jax.errors import InputError
from hsi_jax.session.config import Config
from hsi_jax.session.protocols import find_protocol


def config_from_flags(values: flags.FlagValues = flags.FLAGS, protocol: str = "") -> Config:
    """The run that the parsed flags describe; flags that are not given are those of the protocol.

    Args:
        values: the flags.
        protocol: the protocol, where --protocol is not given.

    Raises:
        InputError: on a value that cannot be used, or that contradicts the protocol.
    """
    name = values["protocol"].value or protocol
    options = dict(find_protocol(name).options) if name else {}
    set_here = {key: value for key, value in options.items() if not values[key].present}
    return options_from_flags(Config, values, **set_here, protocol=name)


def parse_run(
    run_flags: Sequence[str], set_by_launcher: Sequence[str], protocol: str = ""
) -> Config:
    """The configuration of runs that another command starts.

    Args:
        run_flags: the flags of every run.
        set_by_launcher: flags that the command sets itself.
        protocol: the protocol, where the flags have none.

    Raises:
        InputError: on a value that cannot be used, or a flag that must not be given.
        SystemExit: with one line on stderr, on a flag that is unknown.
    """
    refuse_flags(run_flags, set_by_launcher)
    return config_from_flags(protocol=protocol)


def refuse_flags(run_flags: Sequence[str], names: Collection[str]) -> None:
    """Parses the flags of runs, and checks that some are not among them.

    Raises:
        InputError: naming a flag that must not be given.
        SystemExit: with one line on stderr, on a flag that is unknown.
    """
    flags.FLAGS.unparse_flags()  # of a run that was parsed before
    parse_flags(["experiments.run", *run_flags], lambda: "")
    for name in names:
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} after --: it is set for each run; leave it out")
