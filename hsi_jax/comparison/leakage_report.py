"""What a study of leakage writes: a table, a row for each run, and a picture."""

from collections.abc import Mapping, Sequence

from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.reporting import read_outcomes, save_figures, write_texts
from hsi_jax.evaluate.tables.guard_table import (
    csv_of_points,
    guard_points,
    markdown_of_points,
)
from hsi_jax.evaluate.tables.model_table import ModelResult
from hsi_jax.run.summary import Summary


def report_leakage(
    runs: Mapping[int, Sequence[ComparisonRun]],
    problems: Mapping[str, str],
    platform: Platform,
    *,
    title: str,
    figures: Sequence[str],
) -> None:
    """Writes the table and the picture into the folder of the study.

    Args:
        runs: of each guard.
        problems: by the name of each run, why it has no result, or "".
        platform: where.
        title: of the table and the picture.
        figures: formats of the picture.
    """
    results = {}
    for guard, own in runs.items():
        outcomes = read_outcomes(own, problems, platform.workdir)
        results[guard] = [
            ModelResult.of_summary(run.protocol, run.method, run.options.recipe.seed, outcome)
            for run in own
            if isinstance(outcome := outcomes.get(run.name), Summary)
        ]
    points = guard_points(results)
    lines = [f"- {name}: {problem}" for name, problem in problems.items() if problem]
    parts = [
        f"{title}\n",
        markdown_of_points(points),
        *(["\n".join(lines) + "\n"] if lines else []),
    ]
    write_texts(
        platform.workdir, {"leakage.md": "\n".join(parts), "leakage.csv": csv_of_points(points)}
    )
    if points:
        from hsi_jax.evaluate.figures.guards import draw_guards  # here: --help needs no Matplotlib

        picture = {"leakage": draw_guards(points, title)}
        save_figures(platform.workdir, picture, figures)
