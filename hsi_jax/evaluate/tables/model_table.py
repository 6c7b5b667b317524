"""Tables of models over protocols and seeds, as papers print them: a column for each model."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from hsi_jax.evaluate.tables.formats import MISSING, csv_text, latex_table, markdown
from hsi_jax.run.summary import Summary


@dataclass(frozen=True)
class ModelResult:
    """The result of one run; None is a value that it does not have.

    Attributes:
        protocol: of the run, or "" where none was named.
        model: what its column is called.
        seed: of the run.
        overall_accuracy: OA on test samples, a fraction of 1.
        average_accuracy: AA on test samples, a fraction of 1.
        kappa: Cohen's kappa.
        honest_accuracy: OA of the epoch that validation samples choose, where the tested one was
            chosen on test samples.
        leakage: fraction of the test pixels that have a training or validation pixel in their
            patch; None for images.
        patch_size: side of the input, in pixels.
        train_s: measured time of the training, s, without compiling and validating.
        parameters: trained numbers.
        split: kind of the split.
        train: samples that trained.
        validation: samples that chose the epoch, or what else was to be chosen.
        test: samples that were tested.
        class_names: of the data.
        per_class: accuracy of each class, a fraction of 1.
        deviations: in which way test samples have a say in the result, sentences.
        problem: why there is no result.
    """

    protocol: str
    model: str
    seed: int
    overall_accuracy: float | None = None
    average_accuracy: float | None = None
    kappa: float | None = None
    honest_accuracy: float | None = None
    leakage: float | None = None
    patch_size: int | None = None
    train_s: float | None = None
    parameters: int | None = None
    split: str = ""
    train: int | None = None
    validation: int | None = None
    test: int | None = None
    class_names: tuple[str, ...] = ()
    per_class: tuple[float | None, ...] = ()
    deviations: tuple[str, ...] = ()
    problem: str = ""

    @classmethod
    def of_summary(cls, protocol: str, model: str, seed: int, summary: Summary) -> "ModelResult":
        """The result of a finished run."""
        split, published = summary.split, summary.as_published
        chosen = published.by_validation if published else None
        return cls(
            protocol,
            model,
            seed,
            summary.overall_accuracy,
            summary.average_accuracy,
            summary.kappa,
            honest_accuracy=chosen.overall_accuracy if chosen else None,
            leakage=split.leakage.fraction_of_test_pixels if split.leakage else None,
            patch_size=summary.input_shape[0],
            train_s=summary.train_seconds,
            parameters=summary.parameters,
            split=split.kind,
            train=split.counts.get("train", 0),
            validation=split.counts.get("validation", 0),
            test=split.counts.get("test", 0),
            class_names=summary.class_names,
            per_class=tuple(summary.per_class_accuracy),
            deviations=published.deviations if published else (),
        )


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        name: what the row is called.
        values: of each model's runs.
        digits: after the point.
        best: whether the highest mean is to stand out.
    """

    name: str
    values: tuple[tuple[float, ...], ...]
    digits: int = 2
    best: bool = False


@dataclass(frozen=True)
class ProtocolTable:
    """The results of all models on one protocol.

    Attributes:
        protocol: its name, or "".
        split: kind of the split.
        models: what the columns are called.
        counts: of each model, its runs that have a result.
        groups: rows, from above to below, in groups: classes, means, circumstances.
        deviations: for each model in whose results test samples have a say, in which way.
        problems: a sentence for each run without a result.
    """

    protocol: str
    split: str
    models: tuple[str, ...]
    counts: tuple[int, ...]
    groups: tuple[tuple[Measure, ...], ...]
    deviations: tuple[str, ...]
    problems: tuple[str, ...]


def protocol_tables(results: Sequence[ModelResult]) -> list[ProtocolTable]:
    """A table for each protocol, in the order of their first results."""
    protocols = dict.fromkeys(result.protocol for result in results)
    return [_table(name, [r for r in results if r.protocol == name]) for name in protocols]


def _table(protocol: str, results: Sequence[ModelResult]) -> ProtocolTable:
    models = tuple(dict.fromkeys(result.model for result in results))
    good = [[r for r in results if r.model == model and not r.problem] for model in models]
    first = next((r for of_model in good for r in of_model), None)
    means = [name for name in _MEANS if name != "honest_accuracy" or _any_honest(results)]
    problems = tuple(f"{r.model}, seed {r.seed}: {r.problem}" for r in results if r.problem)
    said = {r.model: r.deviations for r in results if r.deviations}
    return ProtocolTable(
        protocol,
        first.split if first else "",
        models,
        counts=tuple(map(len, good)),
        groups=(
            tuple(
                _class_measure(good, k, n) for k, n in enumerate(first.class_names if first else ())
            ),
            tuple(_measure(good, name, *_MEANS[name]) for name in means),
            tuple(_measure(good, name, *kind) for name, kind in _CIRCUMSTANCES.items()),
        ),
        deviations=tuple(f"{model}: {'; '.join(words)}" for model, words in said.items()),
        problems=problems,
    )


# By the attribute of a result: what the row is called, its scale, digits, and whether the highest
# mean stands out.
_MEANS = {
    "overall_accuracy": ("OA (%)", 100, 2, True),
    "average_accuracy": ("AA (%)", 100, 2, True),
    "kappa": ("kappa", 1, 4, True),
    "honest_accuracy": ("OA, epoch by validation (%)", 100, 2, False),
}
_CIRCUMSTANCES = {
    "train": ("training samples", 1, 0, False),
    "validation": ("validation samples", 1, 0, False),
    "test": ("test samples", 1, 0, False),
    "patch_size": ("side of the input (pixels)", 1, 0, False),
    "leakage": ("test samples with a training pixel in their patch (%)", 100, 1, False),
    "train_s": ("training time (s)", 1, 1, False),
    "parameters": ("parameters", 1, 0, False),
}


def _any_honest(results: Sequence[ModelResult]) -> bool:
    return any(result.honest_accuracy is not None for result in results)


def _measure(good, attribute: str, *kind) -> Measure:
    name, scale, digits, best = kind
    columns = tuple(_scaled((getattr(r, attribute) for r in own), scale) for own in good)
    return Measure(name, columns, digits, best)


def _class_measure(good, index: int, name: str) -> Measure:
    columns = tuple(_scaled((r.per_class[index] for r in own), 100) for own in good)
    return Measure(name, columns, 2, best=True)


def _scaled(values: Iterable[float | None], scale: float) -> tuple[float, ...]:
    return tuple(scale * value for value in values if value is not None)


def cells(table: ProtocolTable) -> tuple[list[str], list[list[list[str]]]]:
    """The header and the groups of rows as text; the best mean of a row stands within **.

    A cell has the mean ± sample standard deviation; of one run, or of a circumstance that is the
    same in all runs, the mean alone.
    """
    models = zip(table.models, table.counts, strict=True)
    header = ["", *(f"{model} (n = {count})" for model, count in models)]
    return header, [[_row(measure) for measure in group] for group in table.groups if group]


def _row(measure: Measure) -> list[str]:
    texts = [_cell(values, measure) for values in measure.values]
    means = [
        round(statistics.fmean(values), measure.digits) if values else None
        for values in measure.values
    ]
    known = [mean for mean in means if mean is not None]
    if measure.best and len(known) > 1:
        texts = [
            f"**{text}**" if mean == max(known) else text
            for text, mean in zip(texts, means, strict=True)
        ]
    return [measure.name, *texts]


def _cell(values: Sequence[float], measure: Measure) -> str:
    if not values:
        return MISSING
    mean = f"{statistics.fmean(values):.{measure.digits}f}"
    if len(values) == 1 or (len(set(values)) == 1 and not measure.best):
        return mean
    return f"{mean} ± {statistics.stdev(values):.{measure.digits}f}"


def title(table: ProtocolTable) -> str:
    """What stands above a table: protocol and split."""
    split = f"{table.split} split" if table.split else "no result"
    return f"{table.protocol}, {split}" if table.protocol else split


def markdown_of_models(table: ProtocolTable) -> str:
    """The table in Markdown, under a heading, and the runs that failed."""
    header, groups = cells(table)
    lines = [f"## {title(table)}\n", markdown([header, *(row for rows in groups for row in rows)])]
    lines += [f"- {text}" for text in (*table.deviations, *table.problems)]
    return "\n".join(lines).rstrip() + "\n"


def latex_of_models(table: ProtocolTable) -> str:
    """The table in LaTeX."""
    header, groups = cells(table)
    caption = (
        f"Test accuracy on {title(table)}: mean ± standard deviation over n seeds; the best mean "
        f"of a row is bold. Classes in %."
    )
    if table.deviations:
        caption += f" As published: {'. '.join(table.deviations)}."
    return latex_table(header, groups, caption=caption, label=f"tab:{table.protocol or 'models'}")


def csv_of_models(tables: Sequence[ProtocolTable]) -> str:
    """CSV with a row for each protocol, model and measure: mean, sample deviation and n."""
    rows: list[list[object]] = [["protocol", "model", "measure", "mean", "deviation", "n"]]
    for table in tables:
        for measure in (measure for group in table.groups for measure in group):
            for model, values in zip(table.models, measure.values, strict=True):
                if values:
                    spread = statistics.stdev(values) if len(values) > 1 else ""
                    mean = statistics.fmean(values)
                    rows.append([table.protocol, model, measure.name, mean, spread, len(values)])
    return csv_text(rows)


def runs_of_models(results: Sequence[ModelResult]) -> str:
    """CSV with a row for each run; columns are the fields of `ModelResult`.

    The accuracies of the classes are joined by "/", and so are their names.
    """
    rows = []
    for result in results:
        row = asdict(result)
        row["class_names"] = "/".join(result.class_names)
        row["deviations"] = "; ".join(result.deviations)
        row["per_class"] = "/".join("" if a is None else f"{a:.6f}" for a in result.per_class)
        rows.append(list(row.values()))
    return csv_text([[field.name for field in fields(ModelResult)], *rows])
