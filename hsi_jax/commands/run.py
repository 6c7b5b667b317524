"""Trains and evaluates one classifier: `python -m experiments.run --help`.

The training is imported when it begins; the help, and a mistake in a flag, do not wait for JAX.
"""

import signal
import sys
import textwrap

from hsi_jax.command_line import fail, help_text, message_of
from hsi_jax.errors import HsiJaxError
from hsi_jax.hetero import PRESETS
from hsi_jax.session.flags import parse_run
from hsi_jax.session.options import RunOptions

LOST = 1  # exit code where another process was lost: no mistake in what was asked for

USAGE = """\
Trains a classifier of hyperspectral pixels, or of images, on devices of uneven speed.

  python -m experiments.run                                    built-in scene, no download
  python -m experiments.run --dataset=salinas_a --data_dir=DIR --train_fraction=0.1
  python -m experiments.run --dataset=eurosat --augment=flip,rotate
  python -m experiments.run --profile=8:1:1:1 --scheme=even    what DDP would do
"""


def run_help() -> str:
    """How to use the program, its flags and the presets of --profile."""
    presets = ", ".join(f"{name} ({':'.join(map(str, s))})" for name, s in PRESETS.items())
    end = textwrap.fill(f"Presets of --profile: {presets}", 98, subsequent_indent="  ")
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
    import jax

    from hsi_jax import session
    from hsi_jax.cluster.processes import leave_cluster, rank

    try:
        if session.run(options).summary.interrupted:
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
