"""Trains and evaluates one classifier: `python -m experiments.run --help`.

The training is imported when it begins; the help, and a mistake in a flag, do not wait for JAX.
"""

import signal
import sys
import textwrap
from typing import TYPE_CHECKING

from absl import logging

from hsi_jax.command_line import define_flags, fail, help_text, message_of, parse_flags
from hsi_jax.errors import HsiJaxError
from hsi_jax.hetero import PRESETS
from hsi_jax.session.config import Config
from hsi_jax.session.flags import config_from_flags

if TYPE_CHECKING:
    from hsi_jax.run.summary import Summary

LOST = 1  # exit code where another process was lost: no mistake in what was asked for

USAGE = """\
Trains a classifier of hyperspectral pixels, or of images, on devices of uneven speed.

  python -m experiments.run                                    built-in scene, no download
  python -m experiments.run --dataset=salinas_a --data_dir=DIR --train_fraction=0.1
  python -m experiments.run --dataset=eurosat --augment=flip,rotate
  python -m experiments.run --profile=8:1:1:1 --scheme=even    what DDP would do
"""


def run(config: Config) -> "Summary":
    """Does one run, or the rest of one, and returns its summary, which is also summary.json.

    Raises:
        InputError: on a mistake of the user's, before training.
        DivergenceError: where training diverges.
        StorageError: if the results cannot be written.
        SystemExit: with code 143 after SIGTERM; the run can then be resumed.
    """
    from hsi_jax.session.run import do_run

    return do_run(config)


def run_help() -> str:
    """How to use the program, its flags and the presets of --profile."""
    presets = ", ".join(f"{name} ({':'.join(map(str, s))})" for name, s in PRESETS.items())
    end = textwrap.fill(f"Presets of --profile: {presets}", 98, subsequent_indent="  ")
    return help_text(USAGE, Config, end=end)


def main(argv: list[str]) -> None:
    """Runs what the flags say."""
    logging.set_verbosity(logging.WARNING)  # JAX tells of each kind of device that it lacks
    define_flags(Config)
    parse_flags(argv, run_help)
    try:
        config = config_from_flags()
    except HsiJaxError as error:
        fail(error)
    else:
        _run_or_fail(config)


def _run_or_fail(config: Config) -> None:
    """Runs, and ends the program where that fails; in a cluster, without waiting for the others."""
    import jax

    from hsi_jax.cluster.processes import leave_cluster, rank

    try:
        summary = run(config)
        if summary.interrupted:
            sys.exit(128 + signal.SIGINT)
    except HsiJaxError as error:
        if jax.distributed.is_initialized():
            leave_cluster(f"error: [{rank()}] {message_of(error)}")
        fail(error)
    except jax.errors.JaxRuntimeError as error:
        if not jax.distributed.is_initialized():
            raise
        leave_cluster(
            f"error: [{rank()}] the processes cannot go on: one of them was lost, or failed; see "
            f"what each has printed ({str(error).splitlines()[0]}). Started again with --resume, "
            "the run goes on from its newest checkpoint, if it has one",
            LOST,
            linger=True,
        )
