"""What a comparison writes: tables and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.as_published import deviations
from experiments.comparison_run import ComparisonRun, Platform, read_finished
from hsi_jax.evaluate.table import Result, csv_text, markdown, runs_csv, summarise_schemes
from hsi_jax.run.figure_file import save_figure


@dataclass(frozen=True)
class Reporting:
    """What tables and pictures show.

    Attributes:
        target: validation OA, a fraction of 1, whose time is asked for.
        figures: formats of the pictures.
    """

    target: float
    figures: tuple[str, ...]


def write_report(
    results: Sequence[Result],
    runs: Sequence[ComparisonRun],
    platform: Platform,
    reporting: Reporting,
) -> None:
    """Writes tables and pictures into the folder of the comparison."""
    folder, timed = platform.workdir, not platform.emulated
    notes = deviations(runs[0].config)
    note = f"\nAs published: {'; '.join(notes)}.\n" if notes else ""
    rows = summarise_schemes(results, reporting.target, timed)
    for name, text in [
        ("runs.csv", runs_csv(results)),
        ("table.csv", csv_text(rows)),
        ("table.md", markdown(rows) + note),
    ]:
        (folder / name).write_text(text, encoding="utf-8")
    if all(result.problem for result in results):
        return
    for name, figure in _draw(results, runs, platform).items():
        for suffix in reporting.figures:
            with open(folder / f"{name}.{suffix}", "wb") as file:
                save_figure(figure, file, suffix)


def _draw(results: Sequence[Result], runs: Sequence[ComparisonRun], platform: Platform) -> dict:
    """The pictures by name."""
    # Here, because --help of compare does without Matplotlib.
    from hsi_jax.evaluate.comparison import draw_accuracies, draw_step_times
    from hsi_jax.evaluate.timeline import draw_timeline

    speeds = ":".join(f"{speed:g}" for speed in platform.profile.speeds)
    where = f"speeds {speeds}, {'emulated' if platform.emulated else 'real'} devices"
    figures = {"accuracy": draw_accuracies(results, where)}
    if platform.emulated:
        return figures
    figures["step_time"] = draw_step_times(results, where)
    for run in {run.scheme: run for run in reversed(runs)}.values():
        outcome = read_finished(run, platform.workdir)
        if outcome is not None and outcome.timeline:
            title = f"{run.scheme}, {where}, seed {run.config.seed}"
            names = [f"rank {rank}" for rank in range(len(platform.profile))]
            figures[f"timeline-{run.scheme}"] = draw_timeline(outcome.timeline, names, title)
    return figures
