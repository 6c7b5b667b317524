"""Runs under mpirun that lose processes at chosen moments end in the bits of an undisturbed one."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.launched import result, steps_logged
from benchmarks.mpi_run import MpiRun
from hsi_jax.json_file import read_json
from hsi_jax.launch.mpirun import find_mpirun, find_ranks

pytestmark = [
    pytest.mark.skipif(find_mpirun() is None, reason="there is no Open MPI 5, or no mpi4py"),
    pytest.mark.slow,
    pytest.mark.long,
]

ROOT = Path(__file__).parents[2]
DYING = (sys.executable, "-m", "tests.session.dying_run")
SMALL = (
    *("--steps=40", "--figures=none", "--kernels=xla", "--checkpoint_every=10", "--lost_after=3"),
    *("--model=mlp", "--model_options=hidden=(8, 8)", "--patch_size=1"),
    *("--batch_size=48", "--microbatch_size=8", "--optimizer=adam", "--learning_rate=0.01"),
)
END_SECONDS = 400  # on a busy machine


def run(workdir, count, flags=(), losses=None):
    """A run to its end; its exit code and what it has printed."""
    environment = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["TEST_LOSS"] = json.dumps(losses or {})
    with MpiRun(workdir, count, [*SMALL, *flags], DYING, **environment) as started:
        return started.finish(END_SECONDS), started.output()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """What nobody has disturbed."""
    workdir = tmp_path_factory.mktemp("quiet") / "run"
    code, output = run(workdir, 2)
    assert code == 0, output
    return result(workdir), read_json(workdir / "summary.json")


def assert_like(workdir, quiet):
    """The same record, parameters and accuracies."""
    assert result(workdir) == quiet[0]
    summary = read_json(workdir / "summary.json")
    for name in ("overall_accuracy", "kappa", "test_loss", "confusion_matrix", "areas"):
        assert summary[name] == quiet[1][name]
    return summary


@pytest.mark.parametrize(
    "losses",
    [
        # As a batch is predicted that validates: the first one dies, and later the next one hangs.
        {
            "0": ["hsi_jax.train.evaluation:gather_outputs", 2, "SIGKILL"],
            "1": ["hsi_jax.train.salvage:fetch", 4, "hang"],
        },
        # In the middle of saving a checkpoint, and as the summary is written, once and once more.
        {
            "0": ["hsi_jax.run.checkpoint:write_manifest", 2, "SIGKILL"],
            "1": ["hsi_jax.run.folder:RunFolder.write_summary", 1, "SIGKILL"],
        },
        # Suspended in a step, both but one.
        {
            "0": ["hsi_jax.train.surviving_stepper:SurvivingStepper.step", 15, "SIGSTOP"],
            "2": ["hsi_jax.train.surviving_stepper:SurvivingStepper.step", 25, "SIGSTOP"],
        },
    ],
    ids=["validating", "saving and summary", "suspended"],
)
def test_losses_change_no_bit(tmp_path, quiet, losses):
    code, output = run(tmp_path / "run", 3, losses=losses)
    assert code == 0, output
    summary = assert_like(tmp_path / "run", quiet)
    assert sorted(loss["process"] for loss in summary["losses"]) == sorted(map(int, losses))
    done = [device["microbatches"] for device in summary["devices"]]
    assert sum(done) == 40 * 6


@pytest.mark.parametrize("count", [1, 4])
def test_after_a_loss_of_all_a_run_is_resumed_by_fewer_or_more(tmp_path, quiet, count):
    step = "hsi_jax.train.surviving_stepper:SurvivingStepper.step"
    losses = {"0": [step, 25, "SIGKILL"], "1": [step, 28, "SIGKILL"]}
    run(tmp_path / "run", 2, losses=losses)
    assert not (tmp_path / "run" / "summary.json").exists()
    code, output = run(tmp_path / "run", count, ["--resume"])
    assert code == 0, output
    assert re.search("Resuming after step [12]0 of 40", output)  # the newest may be incomplete
    assert_like(tmp_path / "run", quiet)


def test_the_part_without_the_folder_ends_when_the_network_is_cut(tmp_path, quiet):
    # On one machine nothing can be cut: process 1 is made to see itself alone.
    step = "hsi_jax.train.surviving_stepper:SurvivingStepper.step"
    code, output = run(tmp_path / "run", 3, losses={"1": [step, 20, "cut"]})
    assert "error: [1]" in output
    assert "is in use by process" in output
    assert_like(tmp_path / "run", quiet)
    assert code == 0


def test_launch_elastic_goes_on_without_the_first_process(tmp_path):
    flags = [*SMALL, "--steps=400", "--lost_after=30"]  # so that there is time to kill
    code, output = run(tmp_path / "quiet", 1, ["--steps=400"])
    assert code == 0, output
    workdir, log = tmp_path / "run", tmp_path / "log"
    command = [sys.executable, "-m", "experiments.launch", "--profile=1:1:1", "--elastic"]
    command += ["--", *flags, f"--workdir={workdir}"]
    with (
        open(log, "wb") as stream,
        subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream) as launcher,
    ):
        deadline = time.monotonic() + END_SECONDS
        while steps_logged(workdir) < 5:
            assert launcher.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        (mpirun,) = psutil.Process(launcher.pid).children()
        find_ranks(mpirun)[0].kill()
        assert launcher.wait(END_SECONDS) == 0, log.read_text()
    assert result(workdir) == result(tmp_path / "quiet")
    assert [loss["process"] for loss in read_json(workdir / "summary.json")["losses"]] == [0]
    assert "The first process was lost; process 1 writes" in log.read_text()
    assert "Restart" not in log.read_text()
