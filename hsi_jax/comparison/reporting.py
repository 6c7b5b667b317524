"""What comparisons of any kind write: files of text, pictures, and paired tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.comparison.one_run import ComparisonRun, read_finished
from hsi_jax.evaluate.measures.paired import Trial, best_method, paired_tests
from hsi_jax.run.figure_file import save_figure
from hsi_jax.run.summary import Outcome


@dataclass(frozen=True)
class Reporting:
    """What tables and pictures show.

    Attributes:
        target: validation OA, a fraction of 1, whose time is asked for.
        figures: formats of the pictures.
    """

    target: float
    figures: tuple[str, ...]


def read_outcomes(
    runs: Sequence[ComparisonRun], problems: Mapping[str, str], workdir: Path
) -> dict[str, Outcome]:
    """What the runs without a problem tell, by the runs' names."""
    outcomes = {run.name: read_finished(run, workdir) for run in runs if not problems[run.name]}
    return {name: outcome for name, outcome in outcomes.items() if outcome is not None}


def trials_by_protocol(
    runs: Sequence[ComparisonRun], outcomes: Mapping[str, Outcome]
) -> dict[str, list[Trial]]:
    """The finished runs of each protocol, as paired tests see them."""
    trials: dict[str, list[Trial]] = {run.protocol: [] for run in runs}
    for run in runs:
        if run.name in outcomes:
            trial = Trial.of_outcome(run.method, run.options.recipe.seed, outcomes[run.name])
            trials[run.protocol].append(trial)
    return trials


def draw_differences(trials: Mapping[str, Sequence[Trial]], titles: Mapping[str, str]) -> dict:
    """The picture of paired differences by its name; none without two methods to compare.

    Args:
        trials: of each protocol.
        titles: of the panel of each protocol.
    """
    from hsi_jax.evaluate.figures import differences  # here: --help does without Matplotlib

    panels = {}
    for protocol, own in trials.items():
        tests = paired_tests(own)
        if any(test.differences for test in tests):
            panels[titles[protocol]] = (best_method(own), tests)
    return {"differences": differences.draw_differences(panels)} if panels else {}


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Writes files of text into a folder."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def save_figures(folder: Path, figures: Mapping, formats: Sequence[str]) -> None:
    """Writes each picture in each format into a folder."""
    for name, figure in figures.items():
        for suffix in formats:
            with open(folder / f"{name}.{suffix}", "wb") as file:
                save_figure(figure, file, suffix)
