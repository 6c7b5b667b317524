"""What a comparison of models writes: tables and the picture of their differences."""

from collections.abc import Mapping, Sequence

from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.reporting import (
    Reporting,
    draw_differences,
    read_outcomes,
    save_figures,
    trials_by_protocol,
    write_texts,
)
from hsi_jax.evaluate.measures.paired import paired_tests
from hsi_jax.evaluate.tables.model_table import (
    ModelResult,
    csv_of_models,
    latex_of_models,
    markdown_of_models,
    protocol_tables,
    runs_of_models,
    title,
)
from hsi_jax.evaluate.tables.paired_table import csv_of_tests, markdown_of_tests
from hsi_jax.run.summary import Summary


def report_models(
    runs: Sequence[ComparisonRun],
    problems: Mapping[str, str],
    platform: Platform,
    reporting: Reporting,
) -> list[ModelResult]:
    """Writes tables and a picture into the folder of the comparison; returns what they show.

    Args:
        runs: all of them.
        problems: by the name of each run, why it has no result, or "".
        platform: where.
        reporting: what is to be shown.
    """
    outcomes = read_outcomes(runs, problems, platform.workdir)
    results = []
    for run in runs:
        outcome, origin = (
            outcomes.get(run.name),
            (run.protocol, run.method, run.options.recipe.seed),
        )
        results.append(
            ModelResult.of_summary(*origin, outcome)
            if isinstance(outcome, Summary)
            else ModelResult(*origin, problem=problems[run.name])
        )
    tables = protocol_tables(results)
    trials = trials_by_protocol(runs, outcomes)
    tests = {protocol: paired_tests(own) for protocol, own in trials.items()}
    parts = []
    for table in tables:
        parts.append(markdown_of_models(table))
        parts += [markdown_of_tests(tests[table.protocol])] if tests[table.protocol] else []
    texts = {
        "runs.csv": runs_of_models(results),
        "table.csv": csv_of_models(tables),
        "table.md": "\n".join(parts),
        "table.tex": "\n".join(map(latex_of_models, tables)),
        "paired.csv": csv_of_tests(tests),
    }
    write_texts(platform.workdir, texts)
    titles = {table.protocol: title(table) for table in tables}
    save_figures(platform.workdir, draw_differences(trials, titles), reporting.figures)
    return results
