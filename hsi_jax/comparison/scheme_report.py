"""What a comparison of schemes writes: tables and pictures."""

import dataclasses
from collections.abc import Mapping, Sequence

from hsi_jax.comparison.footnotes import footnotes, realised_speeds
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.comparison.reporting import (
    Reporting,
    draw_differences,
    read_outcomes,
    save_figures,
    trials_by_protocol,
    write_texts,
)
from hsi_jax.evaluate.measures.paired import PairedTest, paired_tests
from hsi_jax.evaluate.tables.formats import csv_text, markdown
from hsi_jax.evaluate.tables.paired_table import csv_of_tests, markdown_of_tests
from hsi_jax.evaluate.tables.scheme_table import (
    Result,
    read_result,
    runs_csv,
    summarise_schemes,
)
from hsi_jax.run.records import read_records
from hsi_jax.run.summary import Outcome
from hsi_jax.session.as_published import deviations


def report_schemes(
    runs: Sequence[ComparisonRun],
    problems: Mapping[str, str],
    platform: Platform,
    reporting: Reporting,
) -> list[Result]:
    """Writes tables and pictures into the folder of the comparison; returns what they show.

    Args:
        runs: all of them.
        problems: by the name of each run, why it has no result, or "".
        platform: where.
        reporting: what is to be shown.
    """
    outcomes = read_outcomes(runs, problems, platform.workdir)
    results = [
        _read(run, outcomes[run.name], platform, reporting)
        if run.name in outcomes
        else Result(
            run.method, run.options.recipe.seed, problem=problems[run.name], protocol=run.protocol
        )
        for run in runs
    ]
    trials = trials_by_protocol(runs, outcomes)
    tests = {protocol: paired_tests(own) for protocol, own in trials.items()}
    tables = {
        protocol: summarise_schemes(
            [result for result in results if result.protocol == protocol],
            reporting.target,
            not platform.emulated,
        )
        for protocol in tests
    }
    texts = {
        "runs.csv": runs_csv(results),
        "table.csv": csv_text(_rows(tables)),
        "table.md": _markdown(tables, tests) + footnotes(runs, outcomes, platform) + _note(runs),
        "paired.csv": csv_of_tests(tests),
    }
    write_texts(platform.workdir, texts)
    titles = {protocol: _title(protocol, platform) for protocol in tests}
    figures = _draw(results, titles, platform)
    if not platform.emulated:
        figures |= _draw_timelines(runs, outcomes, titles, platform)
    figures |= draw_differences(trials, titles)
    save_figures(platform.workdir, figures, reporting.figures)
    return results


def _read(run: ComparisonRun, outcome: Outcome, platform: Platform, reporting: Reporting) -> Result:
    path = platform.workdir / run.name / "metrics.jsonl"
    result = read_result(
        run.method,
        run.options.recipe.seed,
        outcome,
        read_records(path.read_bytes().splitlines()),
        target=reporting.target,
        timed=not platform.emulated,
        protocol=run.protocol,
    )
    return dataclasses.replace(result, realised_speeds=realised_speeds(run, platform))


def _rows(tables: Mapping[str, list[list[str]]]) -> list[list[str]]:
    """One table of all protocols; of a single one without a name, its own."""
    if "" in tables:
        return tables[""]
    header = next(iter(tables.values()))[0]
    rows = [[protocol, *row] for protocol, table in tables.items() for row in table[1:]]
    return [["protocol", *header], *rows]


def _markdown(
    tables: Mapping[str, list[list[str]]], tests: Mapping[str, Sequence[PairedTest]]
) -> str:
    parts = []
    for protocol, table in tables.items():
        parts += [f"## {protocol}\n"] if protocol else []
        parts += [markdown(table)]
        parts += [markdown_of_tests(tests[protocol])] if tests[protocol] else []
    return "\n".join(parts)


def _note(runs: Sequence[ComparisonRun]) -> str:
    """In which way test pixels have a say in the results, if they have."""
    said = dict.fromkeys(text for run in runs for text in deviations(run.options))
    return f"\nAs published: {'; '.join(said)}.\n" if said else ""


def _title(protocol: str, platform: Platform) -> str:
    speeds = ":".join(f"{speed:g}" for speed in platform.profile.speeds)
    where = f"speeds {speeds}, {'emulated' if platform.emulated else 'real'} devices"
    return f"{protocol}, {where}" if protocol else where


def _named(name: str, protocol: str) -> str:
    return f"{name}-{protocol}" if protocol else name


def _draw(results: Sequence[Result], titles: Mapping[str, str], platform: Platform) -> dict:
    """Accuracies and times of each protocol by the names of the pictures."""
    # Here, because --help of compare does without Matplotlib.
    from hsi_jax.evaluate.figures.comparison import draw_accuracies, draw_step_times

    figures = {}
    for protocol, title in titles.items():
        own = [r for r in results if r.protocol == protocol and not r.problem]
        if own:
            figures[_named("accuracy", protocol)] = draw_accuracies(own, title)
        if own and not platform.emulated:
            figures[_named("step_time", protocol)] = draw_step_times(own, title)
    return figures


def _draw_timelines(
    runs: Sequence[ComparisonRun],
    outcomes: Mapping[str, Outcome],
    titles: Mapping[str, str],
    platform: Platform,
) -> dict:
    """The timed steps of the first run of each scheme by the names of the pictures."""
    from hsi_jax.evaluate.figures.timeline import draw_timeline

    figures = {}
    names = [f"rank {rank}" for rank in range(len(platform.profile))]
    for run in {(run.protocol, run.method): run for run in reversed(runs)}.values():
        outcome = outcomes.get(run.name)
        if outcome is not None and outcome.timeline:
            title = f"{run.method}, {titles[run.protocol]}, seed {run.options.recipe.seed}"
            figure = draw_timeline(outcome.timeline, names, title)
            figures[_named(f"timeline-{run.method}", run.protocol)] = figure
    return figures
