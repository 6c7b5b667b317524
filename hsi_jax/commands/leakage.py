"""How much of an accuracy is neighbours: `python -m experiments.leakage --help`."""

import signal
import sys
from pathlib import Path

from hsi_jax.command_line import fail, help_text, parse_command
from hsi_jax.comparison.leakage import LeakageOptions, study
from hsi_jax.errors import HsiJaxError

USAGE = """\
Tests models on the same pixels while the training pixels keep a growing distance from them.

  python -m experiments.leakage --models=svm,cnn2d --guards=0,1,2,4,8 --seeds=0..4 --workdir=W
      -- --dataset=salinas_a --data_dir=DIR

The test pixels of a seed are those of small blocks. The training pixels are drawn from all pixels
whose distance to every test pixel (rows or columns, the larger) is larger than the guard; their
number in each class is always the same. So what changes with the guard is how near they are. What
follows -- are flags of experiments.run. Called again, it does what is missing. The folder gets
leakage.md, leakage.csv, leakage.png and the splits.
"""


def leakage_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, LeakageOptions)


def main(argv: list[str]) -> None:
    """Does what the flags say, prints the table and ends with 1 if a run failed."""
    try:
        options, run_flags = parse_command(argv, LeakageOptions, leakage_help)
        problems = study(options, run_flags)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted; called again, it does what is missing", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    print((Path(options.workdir or "") / "leakage.md").read_text(encoding="utf-8"), end="")
    if any(problems.values()):
        sys.exit(1)
