"""Compares schemes, or models, over protocols and seeds: `python -m experiments.compare --help`."""

import signal
import sys
from collections.abc import Sequence

from hsi_jax.command_line import fail, help_text, parse_command
from hsi_jax.comparison.comparing import compare
from hsi_jax.comparison.footnotes import describe_biases
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.options import CompareOptions
from hsi_jax.comparison.plan import plan_platform, plan_runs
from hsi_jax.comparison.reporting import Reporting
from hsi_jax.errors import HsiJaxError
from hsi_jax.run.figure_file import parse_figure_formats

USAGE = """\
Trains by several schemes, or several models, with the same data and splits, and compares.

  python -m experiments.compare --profile=2:1:1 --schemes=even,balanced --seeds=0,1,2
      --workdir=results -- --dataset=salinas_a --data_dir=DIR
  python -m experiments.compare --emulated --profile=16:1:1:1 --seeds=0..4
      --workdir=accuracy -- --batch_size=76 --microbatch_size=4
  python -m experiments.compare --models=svm,cnn1d,ssftt.flags --seeds=0..9
      --protocols=indian_pines_random10,indian_pines_disjoint --workdir=models -- --data_dir=DIR

What follows -- are flags of experiments.run. With schemes, the processes are really uneven, as
those of experiments.launch; with --emulated only accuracies are compared, and no time is. Called
again, it does what is missing. The folder gets table.md and table.csv (means over seeds), runs.csv,
paired.csv (tests between pairs) and differences.png; with models also table.tex; with schemes also
accuracy.png, step_time.png and timeline-SCHEME.png.
"""


def parse(argv: Sequence[str]) -> tuple[list[ComparisonRun], Platform, Reporting, str]:
    """The arguments of `compare` that a command line asks for; all runs are checked.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    options, run_flags = parse_command(argv, CompareOptions, compare_help)
    runs, platform = plan_runs(options, run_flags), plan_platform(options, run_flags)
    reporting = Reporting(options.target_accuracy, parse_figure_formats(options.figures))
    return runs, platform, reporting, "models" if options.models else "schemes"


def compare_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, CompareOptions)


def main(argv: list[str]) -> None:
    """Compares what the flags say, prints the table and ends with 1 if a run failed."""
    try:
        runs, platform, reporting, subject = parse(argv)
        for line in describe_biases(runs, platform.profile) if subject == "schemes" else ():
            print(f"WARNING {line}", file=sys.stderr)
        results = compare(runs, platform, reporting, subject)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted; called again, it does what is missing", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    print((platform.workdir / "table.md").read_text(encoding="utf-8"), end="")
    if any(r.problem and not r.problem.endswith("not installed") for r in results):
        sys.exit(1)
