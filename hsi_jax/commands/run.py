"""Trains and evaluates one classifier: `python -m experiments.run --help`.

The training is imported when it begins; the help, and a mistake in a flag, do not wait for JAX.
"""

import os
import signal
import sys
import textwrap
import traceback
from typing import TYPE_CHECKING

from absl import logging

from hsi_jax.command_line import define_flags, fail, help_text, message_of, parse_flags
from hsi_jax.errors import HsiJaxError
from hsi_jax.hetero import PRESETS
from hsi_jax.session.config import Config
from hsi_jax.session.flags import config_from_flags

if TYPE_CHECKING:
    from hsi_jax.run.summary import Summary

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
    from hsi_jax.cluster.launchers import find_place
    from hsi_jax.cluster.loss import (
        FAILED,
        TRACE,
        explain_aborts,
        is_joined,
        leave_after_error,
        leave_cluster,
    )

    try:
        if config.coordinator or find_place():
            explain_aborts()
        summary = run(config)
        if summary.interrupted:
            sys.exit(128 + signal.SIGINT)
    except Exception as error:
        import jax

        if isinstance(error, HsiJaxError):
            if is_joined():
                leave_cluster(message_of(error))
            fail(error)
        if not is_joined():
            raise
        if os.environ.get(TRACE):
            traceback.print_exc()
        if isinstance(error, jax.errors.JaxRuntimeError):
            leave_after_error(error)
        leave_cluster(f"{type(error).__name__}: {error}; set {TRACE}=1 to see where", FAILED)
