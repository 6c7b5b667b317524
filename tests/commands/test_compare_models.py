"""Models over protocols and seeds: the plan, and small comparisons with a forest of few trees."""

import csv
import json
import re

import pytest

from hsi_jax import session
from hsi_jax.command_line import parse_command
from hsi_jax.commands import compare as program
from hsi_jax.commands.leakage import leakage_help
from hsi_jax.comparison import one_run as comparison_run
from hsi_jax.comparison import work as comparison_work
from hsi_jax.comparison.comparing import compare
from hsi_jax.comparison.leakage import LeakageOptions, study
from hsi_jax.comparison.models import PRESETS, choose_models
from hsi_jax.comparison.options import parse_seeds
from hsi_jax.errors import InputError
from hsi_jax.options import with_values
from hsi_jax.session.flags import parse_run
from hsi_jax.session.protocols import PROTOCOLS

FOREST = ("--model=random_forest", "--components=3", "--patch_size=1")


@pytest.fixture
def parse():
    """Makes runs of a command line."""
    return lambda *arguments: program.parse(["compare", *arguments])


@pytest.fixture
def done_here(monkeypatch):
    """Runs are done in this process, which is sooner; returns the names of the done."""
    done = []

    def do(run, platform):
        done.append(run.name)
        folder = str(platform.workdir / run.name)
        session.run(with_values(run.options, workdir=folder, overwrite=True, figures="none"))

    monkeypatch.setattr(comparison_work, "do_run", do)
    return done


@pytest.fixture
def two_forests(tmp_path):
    """Files of flags of two small forests."""
    for name, trees in (("few_trees", 2), ("more", 5)):
        lines = ["# a forest", *FOREST, f"--model_options=trees={trees}"]
        (tmp_path / f"{name}.flags").write_text("\n".join(lines), encoding="utf-8")
    return f"--models={tmp_path}/few_trees.flags,{tmp_path}/more.flags"


@pytest.mark.parametrize(
    ("texts", "seeds"),
    [(("0..3",), (0, 1, 2, 3)), (("5", "0..1"), (5, 0, 1)), (("7..7", " 8"), (7, 8))],
)
def test_seeds_are_numbers_and_ranges(texts, seeds):
    assert parse_seeds(texts) == seeds


@pytest.mark.parametrize("text", ["3..1", "0..", "-1", "0...2", "1,1", "0..2,2", "", "0..99999999"])
def test_seeds_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="seeds"):
        parse_seeds(text.split(","))


def test_models_are_names_or_files(tmp_path):
    (tmp_path / "mine.flags").write_text("--model=mlp")
    first, second, third = choose_models(["svm", f"{tmp_path}/mine.flags", "ssftt.flags"])
    assert (first.label, first.flags) == ("svm", ("--model=svm",))
    assert (second.label, second.flags) == ("mine", (f"--flagfile={tmp_path}/mine.flags",))
    assert third.flags == (f"--flagfile={PRESETS / 'ssftt.flags'}",)
    with pytest.raises(InputError, match="no such file"):
        choose_models(["nothing.flags"])
    with pytest.raises(InputError, match="different names"):
        choose_models(["mine", f"{tmp_path}/mine.flags"])


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.flags")), ids=lambda path: path.name)
def test_the_files_that_come_with_it_are_models(path):
    assert parse_run([f"--flagfile={path}"], ("seed", "workdir", "profile")).model.model


def test_every_model_meets_every_protocol_and_seed(parse, tmp_path):
    (tmp_path / "own.flags").write_text("--model=cnn2d\n--epochs=3\n")
    names = ("indian_pines_random10", "salinas_a_disjoint")
    runs, platform, _, subject = parse(
        *(f"--models=svm,{tmp_path}/own.flags,cnn1d", f"--protocols={','.join(names)}"),
        *("--seeds=4..5", "--workdir=w", "--", "--data_dir=d", "--epochs=9"),
    )
    assert (subject, len(platform.profile)) == ("models", 1)
    assert [(r.options.recipe.seed, r.protocol, r.method) for r in runs] == [
        (seed, protocol, model)
        for seed in (4, 5)
        for protocol in names
        for model in ("svm", "own", "cnn1d")
    ]
    assert runs[3].name == "salinas_a_disjoint-svm-seed4"
    by_model = {run.method: run.options.recipe for run in runs[:3]}
    assert [by_model[name].epochs for name in ("svm", "own", "cnn1d")] == [9, 3, 9]
    assert all(
        run.options.split.split == PROTOCOLS[run.protocol].options["split"]
        and run.options.devices.profile == "1"
        and run.options.data.data_dir == "d"
        for run in runs
    )
    # With a disjoint split all keep the distance of the largest patch, so that they test alike.
    assert {run.options.split.guard for run in runs if run.protocol == names[1]} == {5}
    assert {run.options.split.guard for run in runs if run.protocol == names[0]} == {None}


def test_a_run_is_started_with_the_flags_of_its_options(parse):
    runs, platform, *_ = parse(
        *("--models=svm,cnn2d", "--protocols=salinas_a_disjoint", "--seeds=3", "--workdir=w"),
        *("--profile=2:1", "--", "--data_dir=d"),
    )
    for run in runs:
        given = parse_run(comparison_run._flags(run, platform), ())
        assert with_values(given, workdir="") == run.options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models=svm", "--schemes=even"], "`models` and `schemes`"),
        (["--models=svm", "--slowdown=0:2:3"], "`slowdown`"),
        (["--models=svm", "--target_accuracy=0.9"], "`target_accuracy`"),
        (["--models=svm", "--protocols=nope"], "`protocol`=nope"),
        (["--models=svm", "--protocols=salinas_a_disjoint,salinas_a_disjoint"], "`protocols`"),
        (["--models=svm", "--", "--model=mlp"], "`model` after --"),
        (["--models=svm", "--", "--profile=2:1"], "`profile` after --"),
        (["--models=nope"], "nope"),
        (["--models=cnn2d", "--", "--microbatch_size=auto"], "`microbatch_size`=auto"),
    ],
)
def test_a_mistake_is_found_before_anything_starts(arguments, message, parse):
    with pytest.raises(InputError, match=re.escape(message)):
        parse("--workdir=w", *arguments)


@pytest.mark.slow
def test_models_are_compared_and_it_goes_on(parse, done_here, two_forests, tmp_path):
    workdir = tmp_path / "grid"
    arguments = (two_forests, f"--workdir={workdir}", "--seeds=0")
    compare(*parse(two_forests.partition(",")[0], *arguments[1:]))
    assert done_here == ["few_trees-seed0"]
    results = compare(*parse(*arguments))
    assert done_here[1:] == ["more-seed0"]
    assert not any(result.problem for result in results)
    with open(workdir / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        folder = workdir / f"{row['model']}-seed{row['seed']}"
        summary = json.loads((folder / "summary.json").read_text())
        assert float(row["overall_accuracy"]) == summary["overall_accuracy"]
        assert float(row["train_s"]) > 0
    text = (workdir / "table.md").read_text()
    assert "few_trees (n = 1) | more (n = 1)" in text
    assert "few_trees - more | 1 | " in text
    assert "too few seeds" in text
    assert r"few\_trees (n = 1)" in (workdir / "table.tex").read_text()
    assert (workdir / "differences.png").stat().st_size > 1000

    with pytest.raises(InputError, match=r"few_trees-seed0 with other `validation_fraction`"):
        compare(*parse(*arguments, "--", "--validation_fraction=0.2"))
    with pytest.raises(InputError, match="other platform"):
        compare(*parse(*arguments, "--profile=2:1"))


@pytest.mark.slow
def test_leakage_tests_the_same_pixels_at_each_distance(done_here, tmp_path):
    command = ["leakage", *("--guards=0,6", "--seeds=0", "--models=random_forest")]
    command += [f"--workdir={tmp_path / 'study'}", "--", *FOREST[1:], "--model_options=trees=3"]

    def do():
        return study(*parse_command(command, LeakageOptions, leakage_help))

    assert do() == {"guard0-random_forest-seed0": "", "guard6-random_forest-seed0": ""}
    assert len(done_here) == 2
    do()
    assert len(done_here) == 2
    splits = [
        json.loads((tmp_path / "study" / name / "summary.json").read_text())["split"]
        for name in done_here
    ]
    assert splits[0]["test_digest"] == splits[1]["test_digest"]
    assert splits[0]["digest"] != splits[1]["digest"]
    for name in ("train", "validation"):
        counts = [split["counts_per_class"][name] for split in splits]
        assert counts[0] == counts[1]
    assert "| random_forest, 1 x 1 | 6 | 1 |" in (tmp_path / "study" / "leakage.md").read_text()
    assert (tmp_path / "study" / "leakage.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"guards": ("0",)}, "`guards`"),
        ({"guards": ("0", "x")}, "`guards`"),
        ({"guards": ("1", "1")}, "`guards`"),
        ({"workdir": None}, "`workdir`"),
        ({"seeds": ("a",)}, "`seeds`"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        LeakageOptions(**({"workdir": "w"} | given))


@pytest.mark.parametrize("flag", ["--split=random", "--protocol=salinas_a_disjoint", "--model=svm"])
def test_a_study_sets_the_split_itself(tmp_path, flag):
    options = LeakageOptions(workdir=str(tmp_path / "study"))
    with pytest.raises(InputError, match=f"`{flag[2:].partition('=')[0]}` after --"):
        study(options, [flag])
