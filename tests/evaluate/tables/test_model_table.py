import csv
import io
from dataclasses import fields, replace

import pytest

from hsi_jax.evaluate.tables.model_table import (
    ModelResult,
    cells,
    csv_of_models,
    latex_of_models,
    markdown_of_models,
    protocol_tables,
    runs_of_models,
)
from hsi_jax.run.summary_parts import Leakage


def result(model, seed, oa, **given):
    usual = {
        "average_accuracy": oa - 0.1,
        "kappa": oa - 0.2,
        "split": "random",
        "train": 90,
        "validation": 10,
        "test": 400,
        "class_names": ("wood_1", "lake"),
        "per_class": (oa, None),
        "parameters": 7,
    }
    return ModelResult("p", model, seed, oa, **(usual | given))


RESULTS = [
    result("svm", 0, 0.9, train_s=2.0),
    result("net", 0, 0.8, train_s=10.0, leakage=0.5),
    result("svm", 1, 0.8, train_s=3.0),
    ModelResult("p", "net", 1, problem="it ended with exit code 2"),
]


def table_of(results):
    (table,) = protocol_tables(results)
    header, groups = cells(table)
    return header, {row[0]: row[1:] for rows in groups for row in rows}


def test_cells_are_means_and_sample_deviations_and_the_best_stands_out():
    header, rows = table_of(RESULTS)
    assert header == ["", "svm (n = 2)", "net (n = 1)"]
    assert rows["OA (%)"] == ["**85.00 ± 7.07**", "80.00"]
    assert rows["kappa"] == ["**0.6500 ± 0.0707**", "0.6000"]
    assert rows["wood_1"] == ["**85.00 ± 7.07**", "80.00"]
    assert rows["lake"] == ["-", "-"]
    assert rows["training time (s)"] == ["2.5 ± 0.7", "10.0"]
    assert rows["training samples"] == ["90", "90"]
    assert rows["test samples with a training pixel in their patch (%)"] == ["-", "50.0"]


def test_equal_means_are_both_the_best_and_one_model_is_not_told_to_be():
    tie = [result("a", 0, 0.9), result("b", 0, 0.900001)]
    assert table_of(tie)[1]["OA (%)"] == ["**90.00**", "**90.00**"]
    assert table_of(tie[:1])[1]["OA (%)"] == ["90.00"]


def test_each_protocol_has_a_table_in_all_formats():
    other = [replace(r, protocol="q_2") for r in RESULTS]
    tables = protocol_tables([*RESULTS, *other])
    assert [table.protocol for table in tables] == ["p", "q_2"]
    text = markdown_of_models(tables[0])
    assert text.startswith("## p, random split\n")
    assert "- net, seed 1: it ended with exit code 2\n" in text
    latex = latex_of_models(tables[1])
    assert r"wood\_1 & \textbf{85.00 $\pm$ 7.07} & 80.00 \\" in latex
    assert "q\\_2" in latex
    rows = list(csv.DictReader(io.StringIO(csv_of_models(tables))))
    (row,) = [
        r for r in rows if (r["protocol"], r["model"], r["measure"]) == ("p", "svm", "OA (%)")
    ]
    assert (float(row["mean"]), float(row["deviation"])) == pytest.approx((85, 7.0710678))
    assert row["n"] == "2"


def test_what_test_pixels_have_a_say_in_stands_in_the_tables():
    words = ("epoch chosen on test pixels",)
    tuned = [result("net", s, 0.9, deviations=words, honest_accuracy=0.8) for s in (0, 1)]
    (table,) = protocol_tables([result("svm", 0, 0.85), *tuned])
    assert "- net: epoch chosen on test pixels\n" in markdown_of_models(table)
    assert "As published: net: epoch chosen on test pixels." in latex_of_models(table)
    assert table_of([*tuned])[1]["OA, epoch by validation (%)"] == ["80.00"]
    assert "OA, epoch by validation (%)" not in table_of(RESULTS)[1]


def test_without_any_result_there_is_a_table_of_problems():
    (table,) = protocol_tables([ModelResult("", "svm", 0, problem="no memory")])
    assert markdown_of_models(table).endswith("- svm, seed 0: no memory\n")
    assert r"\bottomrule" in latex_of_models(table)


def test_a_run_is_read_from_its_summary(summary):
    leakage = Leakage(
        test_pixels_with_training_pixel_in_patch=5, fraction_of_test_pixels=0.25, patch_size=3
    )
    split = type(summary.split)(kind="random", counts=summary.split.counts, leakage=leakage)
    read = ModelResult.of_summary("p", "net", 3, replace(summary, split=split, train_seconds=4.5))
    assert (read.protocol, read.model, read.seed, read.overall_accuracy) == ("p", "net", 3, 0.9)
    assert (read.leakage, read.patch_size, read.train_s, read.parameters) == (0.25, 1, 4.5, 10)
    assert (read.train, read.validation, read.test, read.per_class) == (250, 10, 20, (0.9, 0.7))


def test_each_run_is_a_row():
    rows = list(csv.DictReader(io.StringIO(runs_of_models(RESULTS))))
    assert list(rows[0]) == [field.name for field in fields(ModelResult)]
    assert rows[0]["class_names"] == "wood_1/lake"
    assert rows[0]["per_class"] == "0.900000/"
    assert rows[3]["problem"] == "it ended with exit code 2"
