import csv
import io
from dataclasses import fields, replace

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.comparison import draw_accuracies, draw_step_times
from hsi_jax.evaluate.tables.formats import csv_text, markdown
from hsi_jax.evaluate.tables.scheme_table import (
    Result,
    read_result,
    runs_csv,
    summarise_schemes,
)
from hsi_jax.run.records import Evaluation, Record, Start, Step
from hsi_jax.run.summary import Outcome


def outcome_of(summary):
    """What another program would have written of the same run."""
    return Outcome(**{field.name: getattr(summary, field.name) for field in fields(Outcome)})


def evaluation(name, step, accuracy):
    accuracies = {"average_accuracy": 0.5, "kappa": 0.5}
    return Evaluation(set=name, step=step, loss=0.1, overall_accuracy=accuracy, **accuracies)


def metrics(*accuracies):
    """Two steps of 0.5 s before each validation."""
    records: list[Record] = [Start(num_steps=2 * len(accuracies))]
    for number, accuracy in enumerate(accuracies):
        for step in (2 * number, 2 * number + 1):
            records.append(Step(step, 0.1, 0.1, seconds=0.5 * (step + 1), step_seconds=0.5))
        records.append(evaluation("validation", 2 * number + 2, accuracy))
    return [*records, evaluation("test", 2 * len(accuracies), 1.0)]


@pytest.mark.parametrize("kind", [lambda summary: summary, outcome_of])
def test_a_measured_run_tells_times_and_utilisation(kind, summary):
    records = metrics(0.5, 0.8, 0.7, 0.9)
    result = read_result("even", 3, kind(summary), records, target=0.8, timed=True)
    assert (result.scheme, result.seed, result.problem) == ("even", 3, "")
    assert (result.overall_accuracy, result.average_accuracy, result.kappa) == (0.9, 0.8, 0.7)
    assert result.step_ms == 123
    assert result.epoch_s == pytest.approx(3 * 0.5)  # 250 samples are 3 steps of 100
    assert result.target_s == pytest.approx(4 * 0.5)
    assert result.busy == pytest.approx([0.25, 0.5])
    assert result.waiting == pytest.approx([0.25, 0])
    assert result.modelled_speedup_over_even is None


def test_a_target_that_no_validation_reaches_has_no_time(summary):
    result = read_result("even", 0, summary, metrics(0.5, 0.8), target=0.81, timed=True)
    assert result.target_s is None


@pytest.mark.parametrize(("kind", "modelled"), [(lambda summary: summary, 2.5), (outcome_of, None)])
def test_an_emulated_run_has_no_measured_time(kind, modelled, summary):
    result = read_result("even", 0, kind(summary), metrics(0.5), target=0.1, timed=False)
    assert (result.overall_accuracy, result.average_accuracy, result.kappa) == (0.9, 0.8, 0.7)
    assert result.modelled_speedup_over_even == modelled
    measured = (result.step_ms, result.epoch_s, result.target_s, result.busy, result.waiting)
    assert measured == (None,) * 5


def test_a_run_without_a_timed_step_has_only_accuracies(summary):
    untimed = replace(summary, step_time_ms_median=None, timeline=[])
    result = read_result("even", 0, untimed, [], target=0.1, timed=True)
    assert result == Result("even", 0, 0.9, 0.8, 0.7)
    header, row = summarise_schemes([result], 0.1, timed=True)
    cells = dict(zip(header, row, strict=True))
    assert (cells["OA (%)"], cells["step (ms)"], cells["epoch (s)"]) == ("90.00", "-", "-")


def result(scheme, seed, oa, target_s=None):
    measured = {"step_ms": 10.0 + seed, "epoch_s": 2.0, "target_s": target_s}
    parts = {"busy": [1.0, 0.5 + seed / 10], "waiting": [0.0, 0.25]}
    return Result(scheme, seed, oa, oa - 0.1, oa - 0.2, **measured, **parts)


RESULTS = [
    result("even", 0, 0.9, 4.0),
    result("ddp_even", 0, 0.5),
    result("even", 1, 0.8, 6.0),
    Result("ddp_even", 1, problem="rank 1 was killed"),
    Result("horovod_even", 0, problem="horovod not installed"),
    Result("horovod_even", 1, problem="horovod not installed"),
]


def test_schemes_are_means_and_sample_deviations_over_their_seeds():
    header, even, ddp, horovod = summarise_schemes(RESULTS, 0.95, timed=True)
    assert dict(zip(header, even, strict=True)) == {
        "scheme": "even",
        "runs": "2",
        "OA (%)": "85.00 ± 7.07",
        "AA (%)": "75.00 ± 7.07",
        "kappa": "0.6500 ± 0.0707",
        "step (ms)": "10.5 ± 0.7",
        "epoch (s)": "2.00 ± 0.00",
        "to 95% (s)": "5.0 ± 1.4 (2 of 2)",
        "busy": "1.00 / 0.55",
        "waiting": "0.00 / 0.25",
    }
    assert ddp[:3] == ["ddp_even", "1 of 2", "50.00"]
    assert ddp[header.index("to 95% (s)")] == "not reached"
    assert horovod == ["horovod_even", "horovod not installed", *["-"] * 8]


def test_emulated_schemes_have_no_column_of_measured_times():
    results = [Result("even", 0, 0.9, 0.8, 0.7, modelled_speedup_over_even=1.0)]
    header, row = summarise_schemes(results, 0.95, timed=False)
    assert header[5:] == ["modelled speed-up over even"]
    assert row == ["even", "1", "90.00", "80.00", "0.7000", "1.00"]


def test_a_modelled_gain_that_no_run_has_is_an_empty_cell():
    results = [Result("even", 0, 0.9, 0.8, 0.7)]
    assert summarise_schemes(results, 0.95, timed=False)[1][-1] == "-"


def test_the_same_cells_in_markdown_and_csv():
    rows = summarise_schemes(RESULTS, 0.95, timed=True)
    first, line, *rest = markdown(rows).splitlines()
    assert set(line) == {"|", "-"}
    for row, text in zip(rows, [first, *rest], strict=True):
        assert text.strip("| ").split(" | ") == row
    assert list(csv.reader(io.StringIO(csv_text(rows)))) == rows


def test_each_run_is_a_row_of_csv():
    rows = list(csv.DictReader(io.StringIO(runs_csv(RESULTS))))
    assert list(rows[0]) == [field.name for field in fields(Result)]
    assert [row["scheme"] for row in rows] == [r.scheme for r in RESULTS]
    assert float(rows[0]["overall_accuracy"]) == 0.9
    assert rows[2]["busy"] == "1.0000/0.6000"
    assert (rows[3]["problem"], rows[3]["step_ms"]) == ("rank 1 was killed", "")


def test_the_picture_of_accuracies_has_a_dot_for_each_run_and_their_mean():
    (axes,) = draw_accuracies(RESULTS, "title").axes
    dots = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
    assert dots == [pytest.approx([90, 80]), pytest.approx([50])]
    assert [text.get_text() for text in axes.texts] == ["85.00", "50.00"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["even", "ddp\neven"]


def test_the_picture_of_times_has_a_bar_for_each_scheme():
    (axes,) = draw_step_times(RESULTS, "title").axes
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert heights == pytest.approx([10.5, 10])


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="step_ms"):
        draw_step_times([Result("even", 0, 0.9, 0.9, 0.9)], "")
