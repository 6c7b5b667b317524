"""Makes one HTML page about one or several runs: `python -m experiments.report --help`."""

import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hsi_jax.command_line import (
    expand_home,
    fail,
    help_text,
    parse_with_arguments,
)
from hsi_jax.errors import HsiJaxError, InputError, StorageError
from hsi_jax.options import check_options, declared, option
from hsi_jax.session.flags import PLACES
from hsi_jax.session.options import RunOptions

if TYPE_CHECKING:
    from hsi_jax.evaluate.run_files import RunFiles

USAGE = """\
Makes one HTML page about one or several runs: maps with a movable border, curves, accuracies with
intervals, confusion, spectra, devices, and the commands to repeat the runs.

  python -m experiments.report runs/first
  python -m experiments.report runs/first runs/second --output=compared.html

The page is a single file that needs no network. A run that has not ended has a page too, of what
there is so far. Called again for the same runs, it replaces its page.
"""


@dataclass(frozen=True)
class ReportOptions:
    """The options of a report.

    Raises:
        InputError: on a value that cannot be used.
    """

    output: str = option("report.html", "the file of the page", path=True, heading="Report")
    overwrite: bool = option(
        False,
        "replace the file also if it is not an earlier report of the same runs",
        heading="Report",
    )

    def __post_init__(self):
        check_options(self)


def parse(argv: Sequence[str]) -> tuple[ReportOptions, list[str]]:
    """The options and the folders of the runs.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    options, folders = parse_with_arguments(argv, ReportOptions, report_help)
    if not folders:
        raise InputError("give the folder of a run, or several; see --help")
    folders = [expand_home(folder, folder) for folder in folders]  # a shell may not have done so
    return options, folders


def report(options: ReportOptions, folders: Sequence[str]) -> "list[RunFiles]":
    """Writes the page, whole or not at all.

    Raises:
        InputError: if a folder holds no run, or the file may not be written.
        StorageError: if it cannot be written.
    """
    # Here, because --help does without Matplotlib.
    from hsi_jax.evaluate.report.page import mark_of, render_page
    from hsi_jax.evaluate.run_files import read_run

    output = Path(options.output)
    runs = [read_run(folder) for folder in dict.fromkeys(folders)]
    _check_output(output, options.overwrite, mark_of(runs))
    page = render_page(runs, [repeat_commands(run) for run in runs])
    partial = output.with_name(f".{output.name}.partial")
    try:
        # What Unicode cannot write, such as half a surrogate pair, becomes a question mark.
        partial.write_bytes(page.encode("utf-8", "replace"))
        os.replace(partial, output)
    except OSError as error:
        raise StorageError(f"--output={output} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return runs


def _check_output(output: Path, overwrite: bool, mark: str) -> None:
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK | os.X_OK):
        raise InputError(f"--output={output}: {output.parent} is not a folder that can be written")
    if not output.exists():
        return
    if not output.is_file():
        raise InputError(f"--output={output} is not a file; give another name")
    try:
        with open(output, "rb") as file:
            is_ours = mark.encode() in file.read(1000)
    except OSError:
        is_ours = False
    if not (overwrite or is_ours):
        raise InputError(
            f"--output={output} exists and is no report of these runs; give another name, or "
            f"replace it with --overwrite"
        )


def repeat_commands(run: "RunFiles") -> list[str]:
    """The lines to type to install what a run used, and to repeat it; none if not known."""
    from hsi_jax.run.summary import Summary

    lines = []
    if isinstance(run.summary, Summary):
        versions = run.summary.versions
        names = [name for name in versions if name not in ("python", "hsi_jax")]
        pins = [shlex.quote(f"{name}=={versions[name]}") for name in names]
        lines.append(f"python -m pip install {' '.join(pins)}")
    if not run.config:
        return []
    given = []
    for field, _, _ in declared(RunOptions):
        value = run.config.get(field.name, field.default)
        if value == field.default or value is None or field.name in PLACES:
            continue
        given.append(_flag(field.name, value))
    lines.append(" ".join(["python -m experiments.run", *given]))
    if run.config.get("coordinator"):
        count = run.config.get("num_processes")
        lines[-1] = f"# as {count} processes, by experiments.launch or srun:\n{lines[-1]}"
    return lines


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return shlex.quote(f"--{name}={value}")


def report_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, ReportOptions)


def main(argv: Sequence[str]) -> None:
    """Makes the report that the command line asks for."""
    try:
        options, folders = parse(argv)
        runs = report(options, folders)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted; no page was written", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    for run in runs:
        for sentence in run.missing:
            print(f"{run.path}: {sentence}")
    print(f"Report: {options.output}")
