"""Compares schemes over seeds on one platform: `python -m experiments.compare --help`."""

import json
import signal
import sys
from collections.abc import Sequence

from tqdm import tqdm

from benchmarks.distributed import find_version
from experiments.config import Config
from experiments.flags import define_flags, fail
from experiments.grid import parse
from experiments.peer import PEERS
from experiments.trial import (
    Platform,
    Trial,
    do_trial,
    read_summary,
    shared_settings,
    write_json,
)
from hsi_jax.errors import InputError
from hsi_jax.evaluate.comparison import draw_accuracies, draw_step_times
from hsi_jax.evaluate.table import (
    Result,
    csv_text,
    markdown,
    read_result,
    runs_csv,
    summarise_schemes,
)
from hsi_jax.evaluate.timeline import draw_timeline


def compare(trials: Sequence[Trial], platform: Platform, target: float) -> list[Result]:
    """Does the runs that are not done yet and writes tables and pictures.

    Args:
        trials: the runs.
        platform: where, and what they have in common.
        target: validation OA whose time is asked for.

    Raises:
        InputError: if the folder holds a comparison on another platform or with other options.
        KeyboardInterrupt: on Ctrl-C; what is finished is kept.
    """
    _claim_folder(platform, trials[0].config)
    missing = _missing_modules(trials, platform.torch_python)
    results = []
    with tqdm(trials, unit="run", disable=None) as bar:  # None: on a terminal only
        for trial in bar:
            bar.set_description(trial.name)
            problem = missing.get(trial.scheme) or _do(trial, platform)
            results.append(_read(trial, platform, target, problem))
            if problem:
                tqdm.write(f"{trial.name}: {problem}", file=sys.stderr)
    _write(results, trials, platform, target)
    return results


def _do(trial: Trial, platform: Platform) -> str:
    """Does a run unless it is finished; returns what went wrong, or nothing."""
    if read_summary(trial, platform.workdir):
        return ""
    try:
        do_trial(trial, platform)
    except InputError as error:
        return str(error).split("\n")[0].rstrip(":")
    if read_summary(trial, platform.workdir) is None:
        raise KeyboardInterrupt  # the run has ended early because of it
    return ""


def _read(trial: Trial, platform: Platform, target: float, problem: str) -> Result:
    if problem:
        return Result(trial.scheme, trial.config.seed, problem=problem)
    folder = platform.workdir / trial.name
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [json.loads(line) for line in lines]
    summary = read_summary(trial, platform.workdir)
    timed = not platform.emulated
    return read_result(trial.scheme, trial.config.seed, summary, metrics, target, timed)


def _missing_modules(trials: Sequence[Trial], python: str) -> dict[str, str]:
    """What to say of the schemes that cannot run because a module is not there."""
    needed = {t.scheme: PEERS[t.scheme][1] for t in trials if t.scheme in PEERS}
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
    if platform.workdir.exists() and any(platform.workdir.iterdir()):
        raise InputError(
            f"--workdir={platform.workdir} holds something else; choose another folder"
        )
    try:
        platform.workdir.mkdir(parents=True, exist_ok=True)
        write_json(path, settings)
    except OSError as error:
        raise InputError(f"--workdir={platform.workdir} cannot be written: {error}") from None


def _write(
    results: Sequence[Result], trials: Sequence[Trial], platform: Platform, target: float
) -> None:
    """Tables and pictures."""
    folder, timed = platform.workdir, not platform.emulated
    rows = summarise_schemes(results, target, timed)
    for name, text in [
        ("runs.csv", runs_csv(results)),
        ("table.csv", csv_text(rows)),
        ("table.md", markdown(rows)),
    ]:
        (folder / name).write_text(text, encoding="utf-8")
    if all(result.problem for result in results):
        return
    speeds = ":".join(f"{speed:g}" for speed in platform.profile.speeds)
    where = f"speeds {speeds}, {'emulated' if platform.emulated else 'real'} devices"
    draw_accuracies(results, where).savefig(folder / "accuracy.png", dpi=120)
    if not timed:
        return
    draw_step_times(results, where).savefig(folder / "step_time.png", dpi=120)
    for trial in {trial.scheme: trial for trial in reversed(trials)}.values():
        summary = read_summary(trial, folder) or {}
        if summary.get("timeline"):
            title = f"{trial.scheme}, {where}, seed {trial.config.seed}"
            names = [f"rank {rank}" for rank in range(len(platform.profile))]
            figure = draw_timeline(summary["timeline"], names, title)
            figure.savefig(folder / f"timeline-{trial.scheme}.png", dpi=120)


def main(argv: list[str]) -> None:
    """Compares what the flags say, prints the table and ends with 1 if a run failed."""
    define_flags()
    try:
        trials, platform, target = parse(argv)
        results = compare(trials, platform, target)
    except InputError as error:
        fail(error)
    except KeyboardInterrupt:
        print("error: interrupted; called again, it does what is missing", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    print((platform.workdir / "table.md").read_text(encoding="utf-8"), end="")
    if any(r.problem and not r.problem.endswith("not installed") for r in results):
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv)
