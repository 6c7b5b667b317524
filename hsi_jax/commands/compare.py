"""Compares schemes, or models, over protocols and seeds: `python -m experiments.compare --help`."""

import dataclasses
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hsi_jax.command_line import define_flags, fail, help_text, parse_command
from hsi_jax.comparison.model_report import report_models
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.options import CompareOptions
from hsi_jax.comparison.peer import PEERS, find_version
from hsi_jax.comparison.plan import plan_platform, plan_runs
from hsi_jax.comparison.reporting import Reporting
from hsi_jax.comparison.scheme_report import report_schemes
from hsi_jax.comparison.work import check_finished, claimed, do_missing
from hsi_jax.errors import HsiJaxError
from hsi_jax.run.figure_file import parse_figure_formats
from hsi_jax.session.config import Config

if TYPE_CHECKING:
    from hsi_jax.evaluate.tables.model_table import ModelResult
    from hsi_jax.evaluate.tables.scheme_table import Result

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


def compare(
    runs: Sequence[ComparisonRun], platform: Platform, reporting: Reporting, subject: str
) -> "Sequence[Result | ModelResult]":
    """Does the runs that are not done yet and writes tables and pictures.

    Args:
        runs: all of them, done or not.
        platform: where, and what they have in common.
        reporting: what tables and pictures show.
        subject: "schemes" or "models".

    Raises:
        InputError: if the folder holds a comparison on another platform or with other options, or
            if another process has it.
        KeyboardInterrupt: on Ctrl-C; what is finished is kept.
    """
    settings = shared_settings(runs, platform, subject)
    with claimed(platform.workdir, "compare.json", settings):
        check_finished(runs, platform.workdir)
        problems = do_missing(runs, platform, missing_modules(runs, platform.torch_python))
        report = report_schemes if subject == "schemes" else report_models
        return report(runs, problems, platform, reporting)


def missing_modules(runs: Sequence[ComparisonRun], python: str) -> dict[str, str]:
    """What to say of the schemes that cannot run because a module is not there."""
    needed = {run.method: PEERS[run.method].module for run in runs if run.peer}
    there = {module for module in set(needed.values()) if find_version(python, module)}
    return {s: f"{module} not installed" for s, module in needed.items() if module not in there}


def shared_settings(
    runs: Sequence[ComparisonRun], platform: Platform, subject: str
) -> dict[str, Any]:
    """What must be the same for runs to be compared; the options of models may differ."""
    settings = {
        "platform": platform.profile.to_json(),
        "emulated": platform.emulated,
        "slowdowns": [str(slowdown) for slowdown in platform.slowdowns],
    }
    if subject == "models" or any(run.protocol for run in runs):
        return settings | {"subject": subject}
    config = runs[0].config
    own = ("scheme", "seed", "workdir", "overwrite", "profile")
    options = {k: v for k, v in dataclasses.asdict(config).items() if k not in own}
    profile = None if platform.emulated else config.profile
    return settings | {"profile_of_runs": profile, "options": options}


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
    define_flags(Config)
    try:
        runs, platform, reporting, subject = parse(argv)
        results = compare(runs, platform, reporting, subject)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted; called again, it does what is missing", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    print((platform.workdir / "table.md").read_text(encoding="utf-8"), end="")
    if any(r.problem and not r.problem.endswith("not installed") for r in results):
        sys.exit(1)
