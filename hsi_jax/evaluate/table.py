"""Runs of several schemes and seeds as tables: one of all runs, one of means over seeds."""

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from hsi_jax.evaluate.timeline import utilisation

MISSING = "-"


@dataclass(frozen=True)
class Result:
    """What one run gave; None is what it did not give.

    Attributes:
        scheme: by which the batch was divided.
        seed: of the run.
        overall_accuracy: OA on test pixels, a fraction of 1.
        average_accuracy: AA, likewise.
        kappa: Cohen's kappa.
        step_ms: median time of a step, ms, measured.
        epoch_s: time of the steps of an epoch, s, measured; compiling and validating apart.
        target_s: time of the steps until a validation reached the target accuracy, likewise.
        busy: part of the timed steps that each device was at its own work, [devices].
        waiting: part that it waited for the slowest.
        modelled_speedup_over_even: by the profile, not measured.
        problem: why there is no result.
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
    problem: str = ""


def read_result(
    scheme: str, seed: int, summary: dict, metrics: Sequence[dict], target: float, timed: bool
) -> Result:
    """A run's result from its summary.json and metrics.jsonl.

    Args:
        scheme: of the run.
        seed: likewise.
        summary: accuracies, and `batch_size`, `split`, `timeline` and times where timed.
        metrics: records of steps and evaluations.
        target: OA on the validation pixels whose time is asked for.
        timed: whether the devices were real, so that measured times mean something; where they
            were emulated the result has the modelled speed-up instead.
    """
    accuracies = {name: summary[name] for name in ("overall_accuracy", "average_accuracy", "kappa")}
    if not timed:
        modelled = summary["modelled_speedup_over_even"]
        return Result(scheme, seed, **accuracies, modelled_speedup_over_even=modelled)
    trained = {record["step"]: record["seconds"] for record in metrics if record["kind"] == "step"}
    steps_per_epoch = -(-summary["split"]["counts"]["train"] // summary["batch_size"])
    parts = utilisation(summary["timeline"]) if summary.get("timeline") else None
    return Result(
        scheme,
        seed,
        **accuracies,
        step_ms=summary["step_time_ms_median"],
        epoch_s=max(trained.values()) / len(trained) * steps_per_epoch,
        target_s=_seconds_to(target, metrics, trained),
        busy=parts and parts.busy,
        waiting=parts and parts.waiting,
    )


def _seconds_to(target: float, metrics: Sequence[dict], trained: dict[int, float]) -> float | None:
    """Seconds of the steps before the first validation at least that good, or None."""
    for record in metrics:
        if record["kind"] == "evaluation" and record["set"] == "validation":  # noqa: SIM102
            if record["overall_accuracy"] >= target:
                return trained[record["step"] - 1]
    return None


def runs_csv(results: Sequence[Result]) -> str:
    """A row for each run, with the fields of `Result`; numbers of devices are joined by "/"."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Result)], lineterminator="\n")
    writer.writeheader()
    for result in results:
        row = asdict(result)
        for name in ("busy", "waiting"):
            row[name] = "/".join(f"{value:.4f}" for value in row[name] or ())
        writer.writerow(row)
    return text.getvalue()


def summarise_schemes(results: Sequence[Result], target: float, timed: bool) -> list[list[str]]:
    """A header, and a row of text for each scheme in order of appearance.

    Cells are mean ± sample standard deviation over the seeds that gave a result; of times, mean.
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

    def spread(name, scale, digits):
        return _mean_and_deviation([scale * getattr(r, name) for r in good], digits)

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


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, the first of them the header, as a Markdown table."""
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def csv_text(rows: Sequence[Sequence[str]]) -> str:
    """The same rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
