"""A grid of runs: tiny real ones, and stand-ins that fail or were done before."""

import csv
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from hsi_jax.commands import compare as program
from hsi_jax.commands.compare import compare, compare_help
from hsi_jax.comparison import one_run as comparison_run
from hsi_jax.comparison import peer, peer_data
from hsi_jax.comparison import work as comparison_work
from hsi_jax.comparison.options import MEASURED, CompareOptions
from hsi_jax.errors import InputError
from hsi_jax.hetero import parse_profile
from hsi_jax.options import with_values
from hsi_jax.run.lock import locked
from hsi_jax.session.options import RunOptions
from hsi_jax.train import Patches, fit, predict
from tests.session.runs import run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TINY = (
    "--steps=4",
    "--figures=none",
    "--model=mlp",
    "--patch_size=1",
    "--batch_size=19",
    "--microbatch_size=1",
)


@pytest.fixture
def parse():
    """Makes runs of a command line."""
    return lambda *arguments: program.parse(["compare", *arguments])


def test_a_baseline_has_no_schemes_to_compare(parse, tmp_path):
    with pytest.raises(InputError, match="no schemes"):
        parse("--emulated", "--profile=2:1", f"--workdir={tmp_path}", "--", "--model=svm")


def test_two_schemes_with_two_seeds_are_run_and_then_reused(tmp_path):
    own = ("--emulated", "--profile=16:1:1:1", "--schemes=uniform,balanced", "--seeds=0,1")
    command = [sys.executable, "-m", "experiments.compare", *own]
    command += [f"--workdir={tmp_path / 'grid'}", "--", *TINY]
    outputs = []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0
        (warned,) = done.stderr.splitlines()  # once for both seeds
        assert re.search(r"WARNING uniform: .* 16, 1, 1, 1.* 16\.00 times", warned)
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] == (tmp_path / "grid" / "table.md").read_text()
    assert re.findall(r"^\| (\w+) \| 2 \|", outputs[0], re.MULTILINE) == ["uniform", "balanced"]
    assert "step (ms)" not in outputs[0]
    assert re.findall(r"^- (\w+): scheme \1 .* 16\.00 times", outputs[0], re.MULTILINE) == [
        "uniform"
    ]
    with open(tmp_path / "grid" / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        summary = json.loads(
            (tmp_path / "grid" / f"{row['scheme']}-seed{row['seed']}" / "summary.json").read_text()
        )
        assert summary["scheme"] == row["scheme"]
        assert summary["overall_accuracy"] == float(row["overall_accuracy"])
        assert row["step_ms"] == ""
    losses = {}
    for name in ("uniform-seed0", "balanced-seed0", "balanced-seed1"):
        summary = json.loads((tmp_path / "grid" / name / "summary.json").read_text())
        losses[name] = summary["losses_first_steps"]
    assert len({tuple(values) for values in losses.values()}) == 3
    assert (tmp_path / "grid" / "accuracy.png").stat().st_size > 1000
    assert not (tmp_path / "grid" / "step_time.png").exists()


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    """The summary of a tiny run."""
    workdir = tmp_path_factory.mktemp("tiny")
    run(RunOptions.of(steps=2, model="mlp", patch_size=1, profile="2:1", workdir=str(workdir)))
    return json.loads((workdir / "summary.json").read_text())


@pytest.fixture
def stand_in(monkeypatch, summary):
    """Runs that are done at once, but for those that fail; returns the names of the done."""
    done = []
    failing = set()

    def do(run, platform):
        done.append(run.name)
        if run.name in failing:
            raise InputError("rank 1 was killed by SIGKILL; the end of its log x:\nmore")
        folder = platform.workdir / run.name
        folder.mkdir()
        (folder / "summary.json").write_text(json.dumps(summary))
        (folder / "metrics.jsonl").write_text("")

    monkeypatch.setattr(comparison_work, "do_run", do)
    return done, failing


EMULATED = ("--emulated", "--profile=2:1", "--schemes=even,balanced")


def test_a_failed_run_loses_no_other_and_is_tried_again(parse, stand_in, tmp_path):
    done, failing = stand_in
    failing.add("balanced-seed0")
    arguments = parse(*EMULATED, "--seeds=0,1", f"--workdir={tmp_path}", "--", *TINY)
    results = compare(*arguments)
    assert done == ["even-seed0", "balanced-seed0", "even-seed1", "balanced-seed1"]
    problems = [result.problem for result in results]
    assert problems == ["", "rank 1 was killed by SIGKILL; the end of its log x", "", ""]
    assert "| balanced | 1 of 2 |" in (tmp_path / "table.md").read_text()

    failing.clear()
    done.clear()
    arguments = parse(*EMULATED, "--seeds=0,1,7", f"--workdir={tmp_path}", "--", *TINY)
    assert not any(result.problem for result in compare(*arguments))
    assert done == ["balanced-seed0", "even-seed7", "balanced-seed7"]


def test_a_run_that_ctrl_c_ended_early_is_not_finished(parse, stand_in, tmp_path):
    runs, *others = parse(*EMULATED, f"--workdir={tmp_path}", "--", *TINY)
    compare(runs, *others)
    path = tmp_path / runs[0].name / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"interrupted": True}))
    assert comparison_run.read_finished(runs[0], tmp_path) is None
    assert comparison_run.read_finished(runs[1], tmp_path)


@pytest.mark.parametrize(
    ("begun", "saved", "flag"),
    [
        (None, False, "--overwrite"),
        ({}, False, "--overwrite"),
        ({}, True, "--resume"),
        ({"batch_size": 20}, True, "--overwrite"),
    ],
)
def test_an_unfinished_run_of_the_same_options_goes_on(
    parse, monkeypatch, tmp_path, begun, saved, flag
):
    runs, platform, *_ = parse(*EMULATED, f"--workdir={tmp_path}", "--", *TINY)
    folder = tmp_path / runs[0].name
    if begun is not None:
        folder.mkdir()
        options = dataclasses.asdict(dataclasses.replace(runs[0].options, **begun))
        (folder / "config.json").write_text(json.dumps(options))
    if saved:
        (folder / "checkpoints").mkdir()
    commands = []

    def do(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(comparison_run.subprocess, "run", do)
    comparison_run.do_run(runs[0], platform)
    assert [item for item in commands[0] if item in ("--overwrite", "--resume")] == [flag]


def test_pictures_come_in_the_formats_asked_for(parse, stand_in, tmp_path):
    arguments = (*EMULATED, "--figures=svg,png", f"--workdir={tmp_path}", "--", *TINY)
    compare(*parse(*arguments))
    names = {path.name for path in tmp_path.glob("accuracy.*")}
    assert names == {"accuracy.png", "accuracy.svg"}
    with pytest.raises(InputError, match="figures"):
        parse(*EMULATED, "--figures=bmp", f"--workdir={tmp_path}", "--", *TINY)


def test_another_comparison_in_the_folder_is_refused(parse, stand_in, tmp_path):
    compare(*parse(*EMULATED, f"--workdir={tmp_path}", "--", *TINY))
    with pytest.raises(InputError, match=r"holds a comparison with other options"):
        compare(*parse(*EMULATED, f"--workdir={tmp_path}", "--", *TINY, "--steps=5"))
    other = ("--emulated", "--profile=3:1", "--schemes=even")
    with pytest.raises(InputError, match=r"holds a comparison with other platform"):
        compare(*parse(*other, f"--workdir={tmp_path}", "--", *TINY))


def test_schemes_over_protocols_have_a_table_and_a_picture_for_each(parse, stand_in, tmp_path):
    names = ("indian_pines_random10", "salinas_a_random10")
    own = (*EMULATED, f"--protocols={','.join(names)}", "--seeds=0..1", f"--workdir={tmp_path}")
    runs, *others = parse(*own, "--", *TINY, "--data_dir=d")
    assert [run.name for run in runs[:4]] == [
        f"{name}-{scheme}-seed0" for name in names for scheme in ("even", "balanced")
    ]
    assert {run.options.split.protocol for run in runs} == set(names)
    results = compare(runs, *others)
    assert [r.protocol for r in results[:3]] == [names[0], names[0], names[1]]
    text = (tmp_path / "table.md").read_text()
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == [*names]
    assert (
        text.count("| even - balanced | 2 | +0.00 | the same accuracy in every seed | - | - |") == 2
    )
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["protocol"] for row in rows] == [names[0], names[0], names[1], names[1]]
    assert (tmp_path / f"accuracy-{names[1]}.png").stat().st_size > 1000


def test_a_folder_of_something_else_is_refused(parse, stand_in, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds something else"):
        compare(*parse(*EMULATED, f"--workdir={tmp_path}", "--", *TINY))


def test_a_folder_that_another_process_has_is_refused(parse, stand_in, tmp_path):
    with locked(tmp_path), pytest.raises(InputError, match="in use"):
        compare(*parse(*EMULATED, f"--workdir={tmp_path}", "--", *TINY))
    compare(*parse(*EMULATED, f"--workdir={tmp_path}", "--", *TINY))


def test_peers_that_are_not_installed_are_told(parse, stand_in, monkeypatch, tmp_path):
    monkeypatch.setattr(program, "find_version", lambda python, module: None)
    own = ("--profile=1:1", "--schemes=ddp_even,horovod_even", "--seeds=0")
    results = compare(*parse(*own, f"--workdir={tmp_path}"))
    assert [r.problem for r in results] == ["torch not installed", "horovod not installed"]
    assert stand_in[0] == []


def test_all_schemes_of_a_seed_come_first_and_share_all_but_scheme_and_seed(parse):
    runs, platform, reporting, subject = parse(
        *("--profile=2:1", "--seeds=3,1", "--workdir=w", "--slowdown=1:3:5"),
        *("--target_accuracy=0.9", "--", "--profile=measured"),
    )
    assert [run.method for run in runs] == [*MEASURED] * 2
    assert [run.options.recipe.seed for run in runs] == [3] * len(MEASURED) + [1] * len(MEASURED)
    assert {with_values(t.options, seed=0, scheme="even") for t in runs[:4]} == {
        dataclasses.replace(runs[0].options, seed=0)
    }
    assert (platform.run_flags, reporting.target) == (["--profile=measured"], 0.9)
    assert (platform.slowdowns[0].factor, subject) == (3, "schemes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=w"], "--profile is missing"),
        (["--profile=2:1"], "--workdir is missing"),
        (["--profile=2:1", "--workdir=w", "--seeds=0,x"], "--seeds=0,x: give different"),
        (["--profile=2:1", "--workdir=w", "--seeds=1,1"], "--seeds=1,1: give different"),
        (["--profile=2:1", "--workdir=w", "--schemes=fast"], "--schemes=fast: choose from even"),
        (["--profile=2:1", "--workdir=w", "--target_accuracy=95"], "--target_accuracy=95"),
        ([*EMULATED, "--workdir=w", "--slowdown=0:2:3"], "--slowdown needs real processes"),
        ([*EMULATED[:2], "--workdir=w", "--schemes=adaptive"], "--schemes=adaptive: choose"),
        (["--profile=2:1", "--workdir=w", "--", "--seed=3"], "--seed after --"),
        ([*EMULATED, "--workdir=w", "--", "--profile=2:1"], "--profile after --"),
        (["--profile=2:1", "--workdir=w", "--", "--model=mlp"], "--model=mlp: the PyTorch peers"),
        ([*EMULATED, "--workdir=w", "--", "--microbatch_size=auto"], "choose it once"),
        ([*EMULATED, "--workdir=w", "--", "--dataset=nope"], "--dataset=nope: choose one of"),
    ],
)
def test_a_mistake_is_found_before_anything_starts(arguments, message, parse):
    with pytest.raises(InputError, match=re.escape(message)):
        parse(*arguments)


def test_the_help_tells_each_flag():
    text = compare_help()
    assert re.findall(r"^  --(\w+) ", text, re.MULTILINE) == [
        field.name for field in dataclasses.fields(CompareOptions)
    ]
    assert max(map(len, text.splitlines())) <= 100


def test_peers_divide_to_the_sample():
    profile = parse_profile("2:1:1")
    assert peer.peer_counts("ddp_even", profile, 76) == (26, 25, 25)
    assert peer.peer_counts("horovod_proportional", profile, 76) == (38, 19, 19)
    with pytest.raises(InputError, match=r"each rank needs one"):
        peer.peer_counts("ddp_proportional", parse_profile("100:1"), 10)


@pytest.fixture
def torch_python():
    """A Python with PyTorch, which may be another than ours; skips where none is named."""
    python = os.environ.get("HSI_JAX_TEST_TORCH_PYTHON")
    if not python:
        pytest.skip("set HSI_JAX_TEST_TORCH_PYTHON to a Python that has PyTorch")
    return python


HANDED = RunOptions.of(
    steps=3,
    patch_size=5,
    batch_size=30,
    microbatch_size=30,
    model_options="features=(8, 8, 8); hidden=16",
    optimizer="sgd",
    learning_rate=0.05,
    schedule="linear",
    weight_decay=0.01,
)

LOGITS = """
import sys, numpy as np, torch
from rank_training import Handover, train
from network import model_of
from pathlib import Path
handover = Handover(sys.argv[1])
model = model_of(handover.parameters, 5).eval()
ids = handover.arrays["test"][:50]
with torch.no_grad():
    logits = model(handover.patches(ids).permute(0, 3, 1, 2)).numpy()
workdir = Path(sys.argv[2])
def wrap(model, optimizer):
    return model, optimizer
train(handover, [30], 0, wrap=wrap, workdir=workdir)
np.savez(workdir / "logits.npz", logits=logits)
"""


def test_a_peer_trains_like_we_do(torch_python, tmp_path):
    # One rank and one microbatch: even the batch normalisation sees the same samples.
    setup = peer_data.hand_over(HANDED, tmp_path / "handover.npz")
    command = [torch_python, "-c", LOGITS, str(tmp_path / "handover.npz"), str(tmp_path)]
    subprocess.run(command, cwd=peer.PROGRAMS, check=True)  # as if it stood there
    with np.load(tmp_path / "logits.npz") as arrays:
        theirs = arrays["logits"]
    state = setup.state
    split, patches = setup.dataset.split, setup.dataset.samples
    assert isinstance(patches, Patches)
    cut, _ = patches.take(jnp.asarray(split.test[:50]), jnp.int32(0))
    ours = state.task.logits(state.params, state.batch_stats, cut)
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)

    course = Course.shuffled(split.train, setup.plan.batch_size, 3, seed=HANDED.recipe.seed)
    fitted = fit(setup.replicas, state, course, plan=setup.plan)
    devices = {"profile": setup.profile, "plan": setup.plan}
    classes, _ = predict(setup.replicas, fitted.state, split.test, **devices)
    summary = peer_data.summarise_peer("ddp_even", setup, [30], tmp_path)
    truth = setup.dataset.labels[split.test]
    assert summary["overall_accuracy"] == pytest.approx(np.mean(classes == truth), abs=0.01)
    with np.load(tmp_path / "result.npz") as arrays:
        assert np.mean(arrays["test_classes"] == classes) > 0.97
