"""Compares schemes over seeds on one platform: `python -m experiments.compare --help`."""

import dataclasses
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from experiments.command_line import (
    check_options,
    define_flags,
    fail,
    help_text,
    option,
    parse_command,
)
from experiments.comparison_report import Reporting, write_report
from experiments.comparison_run import (
    ComparisonRun,
    Platform,
    do_run,
    read_finished,
    shared_settings,
)
from experiments.config import Config, parse_run
from experiments.peer import PEERS, find_version
from hsi_jax.errors import HsiJaxError, InputError, StorageError
from hsi_jax.evaluate.table import Result, read_result
from hsi_jax.hetero import SCHEMES, parse_profile
from hsi_jax.json_file import write_json
from hsi_jax.launch.slowdown import parse_slowdown
from hsi_jax.models import find_trait
from hsi_jax.run.figure_file import FIGURE_FORMATS, parse_figure_formats
from hsi_jax.run.folder import check_place
from hsi_jax.run.lock import NAME as LOCK
from hsi_jax.run.lock import locked
from hsi_jax.run.records import read_records

# The simplest schemes first, as tables show them.
OURS = tuple(reversed(SCHEMES))
EMULATED = tuple(name for name in OURS if not SCHEMES[name].retimed)
MEASURED = (*EMULATED, *(name for name in OURS if SCHEMES[name].retimed), *PEERS)
SET_HERE = ("scheme", "seed", "workdir", "overwrite", "time_devices")
SET_BY_PLATFORM = ("coordinator", "num_processes", "process_id")

USAGE = """\
Trains by several schemes and seeds with the same data, split and first parameters, and compares.

  python -m experiments.compare --profile=2:1:1 --schemes=even,balanced --seeds=0,1,2
      --workdir=results -- --dataset=salinas_a --data_dir=DIR
  python -m experiments.compare --emulated --profile=16:1:1:1 --seeds=0,1,2,3,4
      --workdir=accuracy -- --batch_size=76 --microbatch_size=4

What follows -- are flags of experiments.run. The processes are really uneven, as those of
experiments.launch; with --emulated only accuracies are compared, and no time is. Called again, it
does what is missing. The folder gets table.md and table.csv (means over seeds), runs.csv,
accuracy.png, step_time.png and timeline-SCHEME.png.
"""


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison; what follows -- goes to the runs.

    Raises:
        InputError: on a value that cannot be used.
    """

    profile: str | None = option(
        "Compare",
        None,
        "speeds such as 2:1:1, a preset or a .json file",
        kind=str,
        path=True,
    )
    schemes: tuple[str, ...] = option(
        "Compare", (), f"some of {', '.join(MEASURED)}; default all", kind=tuple
    )
    seeds: tuple[str, ...] = option(
        "Compare", ("0", "1", "2"), "seeds of the runs, between commas", kind=tuple
    )
    workdir: str | None = option(
        "Compare", None, "folder of all runs and of the tables", kind=str, path=True
    )
    target_accuracy: float = option(
        "Compare", 0.95, "OA on validation pixels to be timed", above=0, at_most=1
    )
    emulated: bool = option("Compare", False, "emulate the devices: compare accuracies, no times")
    slowdown: tuple[str, ...] = option(
        "Compare", (), "rank:factor:at_step[:until], as of experiments.launch", kind=list
    )
    figures: str = option(
        "Compare", "png", f"formats of the pictures, some of {','.join(FIGURE_FORMATS)}"
    )
    torch_python: str = option(
        "Compare", sys.executable, "a Python that has PyTorch, Horovod", path=True
    )

    def __post_init__(self):
        check_options(self)
        parse_figure_formats(self.figures)
        for name in ("profile", "workdir"):
            if not getattr(self, name):
                raise InputError(f"--{name} is missing; see --help")
        if self.emulated and self.slowdown:
            raise InputError("--slowdown needs real processes; leave out --emulated")
        for scheme in self.schemes:
            if scheme not in self.possible_schemes:
                names = ", ".join(self.possible_schemes)
                raise InputError(f"--schemes={scheme}: choose from {names}")
        if not self.seed_numbers or len(set(self.seed_numbers)) < len(self.seed_numbers):
            raise InputError(
                f"--seeds={','.join(self.seeds)}: give different whole numbers between commas"
            )

    @property
    def possible_schemes(self) -> tuple[str, ...]:
        """The schemes that can be compared on such devices."""
        return EMULATED if self.emulated else MEASURED

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        """The seeds; none where one of them is no number."""
        try:
            return tuple(int(text) for text in self.seeds)
        except ValueError:
            return ()


def compare(
    runs: Sequence[ComparisonRun], platform: Platform, reporting: Reporting
) -> list[Result]:
    """Does the runs that are not done yet and writes tables and pictures.

    Args:
        runs: all of them, done or not.
        platform: where, and what they have in common.
        reporting: what tables and pictures show.

    Raises:
        InputError: if the folder holds a comparison on another platform or with other options, or
            if another process has it.
        KeyboardInterrupt: on Ctrl-C; what is finished is kept.
    """
    check_place(platform.workdir)
    with locked(platform.workdir):
        _claim_folder(platform, runs[0].config)
        return _compare(runs, platform, reporting)


def _compare(
    runs: Sequence[ComparisonRun], platform: Platform, reporting: Reporting
) -> list[Result]:
    """What `compare` does in a folder that is its own."""
    missing = _missing_modules(runs, platform.torch_python)
    results = []
    with tqdm(runs, unit="run", disable=None) as bar:  # None: on a terminal only
        for run in bar:
            bar.set_description(run.name)
            problem = missing.get(run.scheme) or _do(run, platform)
            results.append(_read(run, platform, reporting.target, problem))
            if problem:
                tqdm.write(f"{run.name}: {problem}", file=sys.stderr)
    write_report(results, runs, platform, reporting)
    return results


def _do(run: ComparisonRun, platform: Platform) -> str:
    """Does a run unless it is finished; returns what went wrong, or nothing."""
    if read_finished(run, platform.workdir):
        return ""
    try:
        do_run(run, platform)
    except HsiJaxError as error:
        return str(error).split("\n")[0].rstrip(":")
    if read_finished(run, platform.workdir) is None:
        raise KeyboardInterrupt  # the run has ended early because of it
    return ""


def _read(run: ComparisonRun, platform: Platform, target: float, problem: str) -> Result:
    outcome = None if problem else read_finished(run, platform.workdir)
    if outcome is None:
        return Result(run.scheme, run.config.seed, problem=problem)
    path = platform.workdir / run.name / "metrics.jsonl"
    return read_result(
        run.scheme,
        run.config.seed,
        outcome,
        read_records(path.read_bytes().splitlines()),
        target=target,
        timed=not platform.emulated,
    )


def _missing_modules(runs: Sequence[ComparisonRun], python: str) -> dict[str, str]:
    """What to say of the schemes that cannot run because a module is not there."""
    needed = {run.scheme: PEERS[run.scheme].module for run in runs if run.scheme in PEERS}
    there = {module for module in set(needed.values()) if find_version(python, module)}
    return {s: f"{module} not installed" for s, module in needed.items() if module not in there}


def _claim_folder(platform: Platform, config: Config) -> None:
    """Writes compare.json, or checks that the one that is there says the same."""
    path = platform.workdir / "compare.json"
    settings = shared_settings(platform, config)
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key in settings if earlier.get(key) != settings[key]]
        if differing:
            raise InputError(
                f"--workdir={platform.workdir} holds a comparison with other "
                f"{', '.join(differing)}; choose another folder"
            )
        return
    if any(entry.name != LOCK for entry in platform.workdir.iterdir()):
        raise InputError(
            f"--workdir={platform.workdir} holds something else; choose another folder"
        )
    try:
        write_json(path, settings)
    except OSError as error:
        raise StorageError(f"--workdir={platform.workdir} cannot be written: {error}") from None


def parse(argv: Sequence[str]) -> tuple[list[ComparisonRun], Platform, Reporting]:
    """The arguments of `compare` that a command line asks for; all runs are checked.

    Raises:
        InputError: on a value that cannot be used.
        SystemExit: after --help; or, with one line on stderr, on a flag that is unknown.
    """
    options, run_flags = parse_command(argv, CompareOptions, compare_help)
    from experiments.resolve import resolve  # here, because --help does without JAX

    profile = parse_profile(options.profile)
    platform = Platform(
        profile=profile,
        emulated=options.emulated,
        slowdowns=[parse_slowdown(text, len(profile)) for text in options.slowdown],
        run_flags=run_flags,
        workdir=Path(options.workdir),
        torch_python=options.torch_python,
    )
    set_by_platform = ("profile",) if options.emulated else ()
    config = parse_run(run_flags, (*SET_HERE, *SET_BY_PLATFORM, *set_by_platform))
    if not find_trait(config.model_name, "by_steps"):
        raise InputError(
            f"--model={config.model_name} is not trained by steps, so there are no schemes to "
            f"compare; use experiments.run"
        )
    if config.microbatch_size == "auto":
        raise InputError(
            "--microbatch_size=auto could choose another size, with other results, for each run; "
            "choose it once with experiments.run and give its number"
        )
    runs = _make_runs(options, config)
    for run in runs:
        resolve(run.config, in_cluster=not options.emulated)
    if config.model_name != "cnn2d" and any(run.scheme in PEERS for run in runs):
        raise InputError(
            f"--model={config.model_name}: the PyTorch peers are of cnn2d; give --schemes without "
            f"{', '.join(PEERS)}"
        )
    if config.as_published and any(run.scheme in PEERS for run in runs):
        raise InputError(
            f"--as_published: the PyTorch peers choose by validation pixels; give --schemes "
            f"without {', '.join(PEERS)}"
        )
    if config.loss != Config.loss and any(run.scheme in PEERS for run in runs):
        raise InputError(
            f"--loss={config.loss}: the PyTorch peers have cross_entropy alone; give --schemes "
            f"without {', '.join(PEERS)}"
        )
    return runs, platform, Reporting(options.target_accuracy, parse_figure_formats(options.figures))


def _make_runs(options: CompareOptions, config: Config) -> list[ComparisonRun]:
    """All schemes of a seed, then those of the next, so that an early end leaves whole seeds."""
    runs = []
    for seed in options.seed_numbers:
        for scheme in options.schemes or options.possible_schemes:
            given = {"seed": seed, "scheme": scheme if scheme in SCHEMES else "even"}
            if options.emulated:
                given["profile"] = options.profile
            runs.append(ComparisonRun(scheme, dataclasses.replace(config, **given)))
    return runs


def compare_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, CompareOptions)


def main(argv: list[str]) -> None:
    """Compares what the flags say, prints the table and ends with 1 if a run failed."""
    define_flags(Config)
    try:
        runs, platform, reporting = parse(argv)
        results = compare(runs, platform, reporting)
    except HsiJaxError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted; called again, it does what is missing", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    print((platform.workdir / "table.md").read_text(encoding="utf-8"), end="")
    if any(r.problem and not r.problem.endswith("not installed") for r in results):
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv)
