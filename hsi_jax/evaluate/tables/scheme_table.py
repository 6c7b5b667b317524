"""Tables of runs with several schemes and seeds: one row a run, or means over the seeds."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

from hsi_jax.evaluate.measures.utilisation import utilisation
from hsi_jax.evaluate.tables.formats import MISSING, csv_text
from hsi_jax.run.records import Evaluation, Record, Step
from hsi_jax.run.summary import Outcome, Summary


@dataclass(frozen=True)
class Result:
    """The result of one run; None is a value that it does not have.

    Attributes:
        scheme: by which the batch was divided.
        seed: of the run.
        overall_accuracy: OA on test samples, a fraction of 1.
        average_accuracy: AA on test samples, a fraction of 1.
        kappa: Cohen's kappa.
        step_ms: median time of a step, ms, measured.
        epoch_s: time of the steps of an epoch, s, measured, without compiling and validating.
        target_s: time of the steps until a validation reached the target accuracy, s, measured.
        busy: fraction of the timed steps that each device spent on its own work, [devices].
        waiting: fraction that it waited for the slowest device, [devices].
        modelled_speedup_over_even: by the profile, not measured.
        realised_speeds: of each process, by its CPU time, in the unit of the profile, [devices].
        problem: why there is no result.
        protocol: of the run, or "" where none was named.
    """

    scheme: str
    seed: int
    overall_accuracy: float | None = None
    average_accuracy: float | None = None
    kappa: float | None = None
    step_ms: float | None = None
    epoch_s: float | None = None
    target_s: float | None = None
    busy: list[float] | None = None
    waiting: list[float] | None = None
    modelled_speedup_over_even: float | None = None
    realised_speeds: list[float] | None = None
    problem: str = ""
    protocol: str = ""


def read_result(
    scheme: str,
    seed: int,
    outcome: Outcome,
    records: Sequence[Record],
    *,
    target: float,
    timed: bool,
    protocol: str = "",
) -> Result:
    """The result of a run from its summary and records.

    Args:
        scheme: of the run.
        seed: of the run.
        outcome: of the run.
        records: of the run.
        target: validation OA, a fraction of 1, for the time until it was reached.
        timed: whether the devices were real. If they were emulated, measured times mean nothing,
            and the result has the modelled speed-up instead, where the outcome is a `Summary`.
        protocol: of the run, or "".
    """
    accuracies = (outcome.overall_accuracy, outcome.average_accuracy, outcome.kappa)
    result = Result(scheme, seed, *accuracies, protocol=protocol)
    if not timed:
        modelled = outcome.modelled_speedup_over_even if isinstance(outcome, Summary) else None
        return replace(result, modelled_speedup_over_even=modelled)
    seconds = {record.step: record.seconds for record in records if isinstance(record, Step)}
    steps_per_epoch = -(-outcome.split.counts["train"] // outcome.batch_size)
    parts = utilisation(outcome.timeline) if outcome.timeline else None
    return replace(
        result,
        step_ms=outcome.step_time_ms_median,
        epoch_s=max(seconds.values()) / len(seconds) * steps_per_epoch if seconds else None,
        target_s=_seconds_to(target, records, seconds),
        busy=parts and parts.busy,
        waiting=parts and parts.waiting,
    )


def _seconds_to(
    target: float, records: Sequence[Record], seconds: dict[int, float]
) -> float | None:
    """Time of the steps before the first validation with that OA or a better one, if any."""
    validations = (r for r in records if isinstance(r, Evaluation) and r.set == "validation")
    steps = (record.step for record in validations if record.overall_accuracy >= target)
    step = next(steps, None)
    return None if step is None else seconds[step - 1]


def runs_csv(results: Sequence[Result]) -> str:
    """CSV with a row for each run; columns are the fields of `Result`.

    The numbers of several devices are joined by "/".
    """
    rows = []
    for result in results:
        row = asdict(result)
        for name in ("busy", "waiting", "realised_speeds"):
            row[name] = "/".join(f"{value:.4f}" for value in row[name] or ())
        rows.append(list(row.values()))
    return csv_text([[field.name for field in fields(Result)], *rows])


def summarise_schemes(results: Sequence[Result], target: float, timed: bool) -> list[list[str]]:
    """A header and a row of text for each scheme, in the order of their first runs.

    A cell has the mean ± sample standard deviation over the runs that have the value, and the mean
    alone for the fractions of each device. A cell without a value is "-".

    Args:
        results: of all runs.
        target: validation OA, a fraction of 1, named in the header.
        timed: whether the devices were real, so that there are columns of measured times.
    """
    times = ["step (ms)", "epoch (s)", f"to {target:.0%} (s)", "busy", "waiting"]
    header = ["scheme", "runs", "OA (%)", "AA (%)", "kappa"]
    rows = [header + (times if timed else ["modelled speed-up over even"])]
    for scheme in dict.fromkeys(result.scheme for result in results):
        rows.append(_scheme_row([r for r in results if r.scheme == scheme], timed))
    return rows


def _scheme_row(results: Sequence[Result], timed: bool) -> list[str]:
    good = [result for result in results if not result.problem]
    if not good:
        problems = dict.fromkeys(result.problem for result in results)
        return [results[0].scheme, "; ".join(problems), *[MISSING] * (8 if timed else 4)]

    def spread(name: str, scale: float, digits: int) -> str:
        values = [getattr(result, name) for result in good]
        values = [scale * value for value in values if value is not None]
        return _mean_and_deviation(values, digits) if values else MISSING

    row = [
        results[0].scheme,
        str(len(good)) if len(good) == len(results) else f"{len(good)} of {len(results)}",
        spread("overall_accuracy", 100, 2),
        spread("average_accuracy", 100, 2),
        spread("kappa", 1, 4),
    ]
    if not timed:
        return [*row, spread("modelled_speedup_over_even", 1, 2)]
    reached = [result.target_s for result in good if result.target_s is not None]
    to_target = "not reached"
    if reached:
        to_target = f"{_mean_and_deviation(reached, 1)} ({len(reached)} of {len(good)})"
    return [
        *row,
        spread("step_ms", 1, 1),
        spread("epoch_s", 1, 2),
        to_target,
        _device_means([result.busy for result in good]),
        _device_means([result.waiting for result in good]),
    ]


def _mean_and_deviation(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def _device_means(fractions: Sequence[list[float] | None]) -> str:
    measured = [row for row in fractions if row is not None]
    if not measured:
        return "not measured"
    return " / ".join(f"{statistics.fmean(column):.2f}" for column in zip(*measured, strict=True))
