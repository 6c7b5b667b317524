"""What a command makes of its environment, before JAX and Matplotlib read it."""

import os
import sys
from collections.abc import Sequence

from hsi_jax.command_line import HELP

# JAX's variables that would change the numbers of a training, or stop it.
NOT_FOLLOWED = (
    "JAX_ENABLE_X64",
    "JAX_DISABLE_JIT",
    "JAX_TRANSFER_GUARD",
    "JAX_TRANSFER_GUARD_HOST_TO_DEVICE",
    "JAX_TRANSFER_GUARD_DEVICE_TO_DEVICE",
    "JAX_TRANSFER_GUARD_DEVICE_TO_HOST",
    "JAX_NUMPY_DTYPE_PROMOTION",
    "JAX_NUMPY_RANK_PROMOTION",
    "JAX_DEFAULT_PRNG_IMPL",
    "JAX_THREEFRY_PARTITIONABLE",
    "JAX_RANDOM_SEED_OFFSET",
)


def prepare(arguments: Sequence[str]) -> None:
    """Makes the environment one in which a run trains as it does elsewhere.

    What is not followed is said in a line on stderr. Where a variable makes JAX fail as it is
    imported, the program ends with such a line.

    Args:
        arguments: of the command.
    """
    os.environ["MPLBACKEND"] = (
        "agg"  # pictures go to files; the backend of a notebook may be absent
    )
    found = [name for name in NOT_FOLLOWED if name in os.environ]
    if found:
        words = ", ".join(f"{name}={os.environ.pop(name)}" for name in found)
        _tell(f"note: {words} is not followed; a training needs the usual settings of JAX")
    helps = any(argument in HELP for argument in arguments)  # and does without JAX
    if not helps and any(name.startswith("JAX_") for name in os.environ):
        try:
            import jax  # noqa: F401
        except ValueError as error:
            _tell(f"error: a variable JAX_... of the environment has a wrong value: {error}")
            sys.exit(2)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
