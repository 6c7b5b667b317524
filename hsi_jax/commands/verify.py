"""Replays a run and compares every step: `python -m experiments.verify --help`."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hsi_jax.command_line import (
    expand_home,
    fail,
    help_text,
    parse_with_arguments,
)
from hsi_jax.errors import HsiJaxError, InputError, printable
from hsi_jax.options import check_options, option

DIFFERS = 1  # exit code
USAGE = """\
Replays the training of a run on the devices at hand, and compares every step bit for bit.

  python -m experiments.verify runs/NAME                      all steps, the checkpoints, the model
  python -m experiments.verify runs/NAME --steps=500..600     from the newest checkpoint before 500
  python -m experiments.verify runs/NAME -- --data_dir=DIR    where the data lie now
  python -m experiments.verify runs/NAME -- --profile=2:1     on these emulated devices

A run writes a digest of each step's sums. They do not depend on how the work was divided, so one
device can replay what a cluster has trained, if its processor and the versions of the libraries are
alike. What follows -- are flags of experiments.run.

The first step that differs is named, and what does: data, options, a checkpoint or the model. The
result goes to verification.json in the folder of the run, and report shows it. The exit code is 0
where all is equal and 1 where something differs.
"""


@dataclass(frozen=True)
class VerifyOptions:
    """What is replayed.

    Raises:
        InputError: on a value that cannot be used.
    """

    steps: str = option("", "first and last step, such as 500..600; default all", heading="Verify")

    def __post_init__(self):
        check_options(self)
        _ = self.first_and_last

    @property
    def first_and_last(self) -> tuple[int | None, int | None]:
        """The steps asked for."""
        found = re.fullmatch(r"(\d+)\.\.(\d+)", self.steps)
        if self.steps and not found:
            raise InputError(f"`steps`={self.steps}: give first and last, such as 500..600")
        return (int(found[1]), int(found[2])) if found else (None, None)


def verify_run(options: VerifyOptions, folder: str, run_flags: Sequence[str] = ()) -> bool:
    """Replays a run, says what was found, and returns whether all is equal.

    Raises:
        InputError: if it cannot be replayed here.
        StorageError: if the result cannot be written.
    """
    # Here, because --help does without JAX.
    from hsi_jax.session.verifying import verify
    from hsi_jax.session.written_run import read_written

    written = read_written(folder, run_flags)
    first, last = options.first_and_last
    found = verify(written, first=first, last=last)
    for text in found.unlike:
        print(printable(f"NOTE     {text}: equal bits are not promised"))
    for text in found.differences:
        print(printable(f"DIFFERS  {text}"))
    if not found.promised and not found.equal:
        print(f"The losses of a step differ by at most {found.max_loss_difference:.3g}")
    print(printable(f"{folder}: {found.line}"))
    print(f"Verification: {found.write(written.folder)}")
    return found.equal


def verify_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, VerifyOptions)


def parse(argv: Sequence[str]) -> tuple[VerifyOptions, str, list[str]]:
    """The options, the folder of the run, and flags of runs.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    options, arguments = parse_with_arguments(argv, VerifyOptions, verify_help)
    folder, *run_flags = arguments or [""]
    if not folder or folder.startswith("-"):
        raise InputError("give the folder of a run; see --help")
    if not all(flag.startswith("-") for flag in run_flags):
        raise InputError("give the folder of one run, and flags of experiments.run after --")
    return options, expand_home(folder, folder), run_flags


def main(argv: list[str]) -> None:
    """Does what the flags say, and ends with 1 if something differs."""
    try:
        if not verify_run(*parse(argv)):
            sys.exit(DIFFERS)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("\nCtrl-C: nothing was written", file=sys.stderr)
        sys.exit(130)
