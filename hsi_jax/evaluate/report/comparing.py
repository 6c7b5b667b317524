"""What differs between several runs."""

from collections.abc import Sequence

from hsi_jax.evaluate.report.reading import RunFiles

_PLACES = ("workdir", "overwrite", "resume", "process_id", "coordinator")


def differing_options(runs: Sequence[RunFiles]) -> list[tuple[str, list]]:
    """The options that have not the same value in all runs, with their values; None if unset."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    rows = [(name, [run.config.get(name) for run in runs]) for name in names if name not in _PLACES]
    return [(name, values) for name, values in rows if any(v != values[0] for v in values)]


def distinct_names(runs: Sequence[RunFiles]) -> list[str]:
    """The names of the folders; their paths where two have the same name."""
    names = [run.path.resolve().name or str(run.path.resolve()) for run in runs]
    return [
        name if names.count(name) == 1 else str(run.path)
        for name, run in zip(names, runs, strict=True)
    ]
