"""The programs of the peers, which run under a Python that may have nothing of ours."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_jax import evaluate
from hsi_jax.comparison import one_run as comparison_run
from hsi_jax.comparison import peer, peer_data
from hsi_jax.hetero import parse_profile
from hsi_jax.launch.launching import Speeds
from hsi_jax.launch.workers import Worker, Workers, free_port
from hsi_jax.run.records import Evaluation, Start, Step, read_records
from hsi_jax.run.summary import read_outcome
from hsi_jax.session.options import RunOptions

COORDINATOR = "127.0.0.1:4567"
HANDED = RunOptions.of(
    steps=4,
    patch_size=5,
    batch_size=30,
    model_options="features=(8, 8, 8); hidden=16",
    optimizer="sgd",
)


def load(name):
    """A module of the folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, peer.PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_their_scores_are_ours(pairs):
    truth, prediction = np.array(pairs, np.int32).T
    ours = evaluate.scores(evaluate.confusion_matrix(truth, prediction, 5))
    theirs = load("scores").scores(truth, prediction)
    assert set(theirs) == {"overall_accuracy", "average_accuracy", "kappa"}
    for name, value in theirs.items():
        assert value == pytest.approx(getattr(ours, name), abs=1e-12)


COUNTS = st.lists(st.tuples(st.integers(1, 200), st.floats(0.01, 10)), min_size=1, max_size=6)


@given(COUNTS)
def test_omnilearn_keeps_the_batch_and_gives_each_rank_a_sample(ranks):
    counts, seconds = map(list, zip(*ranks, strict=True))
    moved = load("moving").moved(counts, seconds)
    assert sum(moved) == sum(counts)
    assert min(moved) >= 1


def test_omnilearn_divides_by_throughput():
    moved = load("moving").moved
    # 64 * mean / own is 149.3, 49.8 and 49.8, of which a third of what is too much goes off.
    assert moved([64, 64, 64], [1.0, 3.0, 3.0]) == [130, 31, 31]
    assert moved([64, 64], [1.0, 1.2]) == [64, 64]  # within the dead band
    counts, speeds = [64, 64, 64], np.array([2.0, 1.0, 1.0])
    for _ in range(5):
        counts = moved(counts, list(np.array(counts) / speeds))
    assert counts == pytest.approx([96, 48, 48], abs=10)


def test_every_peer_is_started_by_its_path(tmp_path):
    for scheme, program in peer.PEERS.items():
        files = {"handover": tmp_path / "h.npz", "workdir": tmp_path / "run"}
        make = peer.peer_command(scheme, (3, 2), python="/other/python", **files)
        command = make([], COORDINATOR, 2, 1)
        script = peer.PROGRAMS / program.script
        assert command[:2] == ("/other/python", str(script))
        assert command[2:6] == ("--rank=1", "--world=2", "--port=4567", "--counts=3,2")
        assert command[6:] == (f"--handover={tmp_path / 'h.npz'}", f"--workdir={tmp_path / 'run'}")
        assert script.is_file()


def test_compare_starts_a_peer(tmp_path, monkeypatch):
    started = []

    def launch(asked, command):
        started.append(command(asked.run_flags, COORDINATOR, 2, 1))
        return Speeds((2.0, 1.0), (2.0, 1.0))

    monkeypatch.setattr(comparison_run, "launch", launch)
    monkeypatch.setattr(peer_data, "hand_over", lambda options, path: None)
    monkeypatch.setattr(peer_data, "summarise_peer", lambda *given: {"scheme": given[0]})
    platform = comparison_run.Platform(
        profile=parse_profile("2:1"),
        emulated=False,
        slowdowns=(),
        run_flags=(),
        workdir=tmp_path,
        torch_python="/other/python",
    )
    run = comparison_run.ComparisonRun(
        "local_sgd_proportional", RunOptions.of(batch_size=30), peer=True
    )
    comparison_run.do_run(run, platform)
    (command,) = started
    assert command[:2] == ("/other/python", str(peer.PROGRAMS / "local_sgd_rank.py"))
    assert "--counts=20,10" in command
    told = json.loads((tmp_path / run.name / "summary.json").read_text(encoding="utf-8"))
    assert told == {"scheme": "local_sgd_proportional"}


def test_no_sibling_hides_a_module_that_they_need():
    siblings = {path.stem for path in peer.PROGRAMS.glob("*.py")}
    assert not siblings & {"torch", "horovod", "numpy", *sys.stdlib_module_names}


def test_they_import_nothing_of_ours():
    for path in peer.PROGRAMS.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "from experiments" not in text
        assert "from hsi_jax" not in text


@pytest.mark.parametrize(
    ("flags", "names_it"),
    [
        (("--counts=3", "--world=2"), "--counts=3"),
        (("--counts=3,x", "--world=2"), "--counts=3,x"),
        (("--counts=3,0", "--world=2"), "--counts=3,0"),
        (("--counts=3,2", "--world=2", "--handover=h.npz"), "--workdir"),
    ],
)
def test_a_wrong_flag_is_named(flags, names_it):
    code = "from arguments import parse_arguments; parse_arguments('a peer')"
    command = [sys.executable, "-S", "-c", code, "--rank=0", "--port=1", *flags]
    done = subprocess.run(command, cwd=peer.PROGRAMS, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert names_it in done.stderr.splitlines()[-1]


@pytest.fixture
def torch_python():
    """A Python with PyTorch, which may be another than ours; skips where none is named."""
    python = os.environ.get("HSI_JAX_TEST_TORCH_PYTHON")
    if not python:
        pytest.skip("set HSI_JAX_TEST_TORCH_PYTHON to a Python that has PyTorch")
    return python


def run_ranks(commands, folder):
    """Runs a peer's ranks from another folder; returns what rank 0 prints."""
    logs = [folder / f"rank{rank}.log" for rank in range(len(commands))]
    workers = [
        Worker(tuple(command), {"OMP_NUM_THREADS": "1"}, None, log)
        for command, log in zip(commands, logs, strict=True)
    ]
    with Workers(workers) as running:
        running.wait()
    return logs[0].read_text(encoding="utf-8")


@pytest.mark.long
def test_ddp_times_its_steps(torch_python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"python": torch_python, "port": free_port()}
    commands = [
        (*peer.rank_command(peer.PEERS["ddp_even"], (3, 2), rank, **own), "--steps=2", "--warmup=1")
        for rank in range(2)
    ]
    lines = run_ranks(commands, tmp_path).splitlines()
    assert "ready" in lines[:-1]
    assert len(json.loads(lines[-1])["step_seconds"]) == 2


@pytest.fixture
def train_by(torch_python, tmp_path, monkeypatch):
    """Trains two ranks of a peer; its setup, and its folder, which has metrics and result."""
    monkeypatch.chdir(tmp_path)

    def train(scheme, counts):
        folder, handover = tmp_path / scheme, tmp_path / "handover.npz"
        peer.start_folder(folder)
        setup = peer_data.hand_over(HANDED, handover)
        make = peer.peer_command(
            scheme, counts, python=torch_python, handover=handover, workdir=folder
        )
        coordinator = f"127.0.0.1:{free_port()}"
        run_ranks([make([], coordinator, 2, rank) for rank in range(2)], tmp_path)
        return setup, folder

    return train


def losses_of(folder):
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record.loss for record in read_records(lines) if isinstance(record, Step)]


@pytest.mark.long
def test_all_peers_begin_alike(train_by):
    _, ddp = train_by("ddp_even", (15, 15))
    _, omnilearn = train_by("omnilearn", (15, 15))
    _, local = train_by("local_sgd_even", (15, 15))
    # OmniLearn has not moved anything before the first epoch is over.
    np.testing.assert_allclose(losses_of(omnilearn), losses_of(ddp), rtol=1e-4)
    # Between its averages a rank of local SGD has steps of its own; it tells their mean.
    assert losses_of(local)[0] == losses_of(local)[3] != pytest.approx(losses_of(ddp)[3])


@pytest.mark.long
@pytest.mark.parametrize(
    ("scheme", "counts"),
    [
        ("ddp_proportional", (20, 10)),
        ("omnilearn", (15, 15)),
        ("local_sgd_proportional", (20, 10)),
    ],
)
def test_peers_train_and_are_summarised(scheme, counts, train_by, tmp_path):
    setup, folder = train_by(scheme, counts)
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = read_records(lines)
    assert len(records) == len(lines)
    kinds = Counter(type(record) for record in records)
    assert (kinds[Start], kinds[Step], kinds[Evaluation]) == (1, 4, 1)
    assert records[0] == Start(num_steps=4)

    summary = peer_data.summarise_peer(scheme, setup, counts, folder)
    assert summary["counts"] == list(counts)
    assert summary["batch_size"] == 30
    assert summary["timeline"] == []
    path = folder / "summary.json"
    path.write_text(json.dumps(summary), encoding="utf-8")
    outcome = read_outcome(path)
    assert (outcome.scheme, outcome.steps) == (scheme, 4)
    assert outcome.split.counts == {"train": len(setup.dataset.split.train)}
