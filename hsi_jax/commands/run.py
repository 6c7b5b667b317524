"""Trains and evaluates one classifier: `python -m experiments.run --help`.

The training is imported when it begins; the help, and a mistake in a flag, do not wait for JAX.
"""

import os
import signal
import sys
import textwrap
import traceback

from hsi_jax.command_line import fail, help_text, message_of
from hsi_jax.errors import AuditError, HsiJaxError
from hsi_jax.hetero import PRESETS
from hsi_jax.session.flags import CONFIG, CONFIG_HELP, parse_run
from hsi_jax.session.options import RunOptions

USAGE = """\
Trains a classifier of hyperspectral pixels, or of images, on devices of uneven speed.

  python -m experiments.run                                    built-in scene, no download
  python -m experiments.run --dataset=salinas_a --data_dir=DIR --train_fraction=0.1
  python -m experiments.run --dataset=eurosat --augment=flip,rotate
  python -m experiments.run --profile=8:1:1:1 --scheme=even    what DDP would do
  python -m experiments.run --task=pretrain --model=vit --workdir=ENCODER    without labels
  python -m experiments.run --init=ENCODER --train_fraction=0.01             and on from there
"""


def run_help() -> str:
    """How to use the program, its flags and the presets of --profile."""
    presets = ", ".join(f"{name} ({':'.join(map(str, s))})" for name, s in PRESETS.items())
    end = textwrap.fill(f"Presets of --profile: {presets}", 98, subsequent_indent="  ")
    end = f"  --{CONFIG:<22}{CONFIG_HELP}\n\n{end}"
    return help_text(USAGE, RunOptions, end=end)


def main(argv: list[str]) -> None:
    """Runs what the flags say."""
    try:
        options = parse_run(argv[1:], help_text=run_help)
    except HsiJaxError as error:
        fail(error)
    else:
        _run_or_fail(options)


def _run_or_fail(options: RunOptions) -> None:
    """Runs, and ends the program where that fails; in a cluster, without waiting for the others."""
    from hsi_jax import session
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
        if options.devices.coordinator or find_place():
            explain_aborts()
        if session.run(options).summary.interrupted:
            sys.exit(128 + signal.SIGINT)
    except Exception as error:
        import jax

        if isinstance(error, HsiJaxError):
            code = FAILED if isinstance(error, AuditError) else 2
            if is_joined():
                leave_cluster(message_of(error), code)
            fail(error, code)
        if not is_joined():
            raise
        if os.environ.get(TRACE):
            traceback.print_exc()
        if isinstance(error, jax.errors.JaxRuntimeError):
            leave_after_error(error)
        leave_cluster(f"{type(error).__name__}: {error}; set {TRACE}=1 to see where", FAILED)
