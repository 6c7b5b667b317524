"""Does the runs of a comparison that are missing, in a folder that is its own."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hsi_jax.comparison.footnotes import describe_speeds
from hsi_jax.comparison.one_run import ComparisonRun, Platform, do_run, read_finished
from hsi_jax.errors import HsiJaxError, InputError, StorageError
from hsi_jax.json_file import read_json, write_json
from hsi_jax.run.folder import check_place
from hsi_jax.run.lock import NAME as LOCK
from hsi_jax.run.lock import locked


@contextlib.contextmanager
def claimed(workdir: Path, name: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Holds the folder of a comparison against other processes.

    Args:
        workdir: the folder.
        name: of the file in it that holds the settings.
        settings: what must be the same when it is called again.

    Raises:
        InputError: if the folder holds a comparison with other settings or something else, or if
            another process has it.
    """
    check_place(workdir)
    with locked(workdir):
        _claim(workdir, name, settings)
        yield


def _claim(workdir: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Writes the settings, or checks that those that are there are the same."""
    path, settings = workdir / name, json.loads(json.dumps(settings))
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key in settings if earlier.get(key) != settings[key]]
        if differing:
            raise InputError(
                f"`workdir`={workdir} holds a comparison with other "
                f"{', '.join(differing)}; choose another folder"
            )
        return
    if any(entry.name != LOCK for entry in workdir.iterdir()):
        raise InputError(f"`workdir`={workdir} holds something else; choose another folder")
    try:
        write_json(path, settings)
    except OSError as error:
        raise StorageError(f"`workdir`={workdir} cannot be written: {error}") from None


def check_finished(
    runs: Sequence[ComparisonRun], workdir: Path, ignored: frozenset[str] = frozenset()
) -> None:
    """Checks that what is finished was done with the options that are asked for now.

    Args:
        runs: all of them.
        workdir: folder of all runs.
        ignored: options that may have changed.

    Raises:
        InputError: naming the run and what differs.
    """
    from hsi_jax.session.resume_check import differing_options  # here: --help does without JAX

    for run in runs:
        path = workdir / run.name / "config.json"
        if not path.exists() or read_finished(run, workdir) is None:
            continue
        differing = set(differing_options(read_json(path), run.options)) - ignored
        if differing:
            names = ", ".join(f"`{name}`" for name in sorted(differing))
            raise InputError(
                f"`workdir`={workdir} has {run.name} with other {names}; choose another folder, or "
                f"remove that one to do it again"
            )


def do_missing(
    runs: Sequence[ComparisonRun],
    platform: Platform,
    impossible: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Does the runs that are not finished; one that fails does not keep the others.

    Args:
        runs: all of them, done or not.
        platform: where.
        impossible: by method, why its runs cannot be done.

    Returns:
        By the name of each run, what went wrong, or "".

    Raises:
        KeyboardInterrupt: on Ctrl-C; what is finished is kept.
    """
    problems = {}
    with tqdm(runs, unit="run", disable=None) as bar:  # None: on a terminal only
        for run in bar:
            bar.set_description(run.name)
            problem = (impossible or {}).get(run.method) or _do(run, platform)
            problems[run.name] = problem
            if problem:
                tqdm.write(f"{run.name}: {problem}", file=sys.stderr)
    return problems


def _do(run: ComparisonRun, platform: Platform) -> str:
    """Does a run unless it is finished; returns what went wrong, or nothing."""
    if read_finished(run, platform.workdir):
        return ""
    try:
        do_run(run, platform)
    except HsiJaxError as error:
        return str(error).split("\n")[0].rstrip(":")
    outcome = read_finished(run, platform.workdir)
    if outcome is None:
        raise KeyboardInterrupt  # the run has ended early because of it
    line, differs = describe_speeds(run, outcome, platform)
    if differs:
        tqdm.write(f"WARNING {line}: not the platform that was asked for", file=sys.stderr)
    return ""
