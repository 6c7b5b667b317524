"""Unlike platforms in one run: killed, and gone on with by another mixture, to the same end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hsi_jax.cluster.platforms import DECLARED
from hsi_jax.launch.workers import free_port
from hsi_jax.session.options import RunOptions
from tests.session.runs import run

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="it kills processes"),
    pytest.mark.slow,
    pytest.mark.long,
]

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "model": "mlp",
    "model_options": "hidden=(8, 8)",
    "components": 6,
    "patch_size": 1,
    "batch_size": 60,
    "microbatch_size": 8,
    "steps": 150,
    "figures": "none",
    "optimizer": "adam",
    "learning_rate": 0.01,
    "checkpoint_every": 20,
}
PATIENCE = 240  # s, on a busy machine


@contextlib.contextmanager
def started(folder, platforms, *flags):
    """A process for each platform, declared so."""
    address = f"127.0.0.1:{free_port()}"
    given = [f"--{name}={value}" for name, value in OPTIONS.items()]
    given += [f"--coordinator={address}", f"--num_processes={len(platforms)}", *flags]
    programs = []
    try:
        for rank, platform in enumerate(platforms):
            # As many threads as the devices that this process of tests emulates.
            own = {"JAX_PLATFORMS": "cpu", "NPROC": "4", DECLARED: platform}
            command = [sys.executable, "-m", "experiments.run", *given, f"--workdir={folder}"]
            programs.append(
                subprocess.Popen(
                    [*command, f"--process_id={rank}"],
                    cwd=ROOT,
                    env=os.environ | own,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        yield programs
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def weights_of(folder):
    with np.load(folder / "model" / "weights.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays}


def test_a_mixture_is_killed_and_another_one_ends_as_like_devices_would(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mixed"
    with started(folder, ("cpu", "cuda"), "--profile=2:1") as programs:
        deadline = time.monotonic() + PATIENCE
        while not any(path.name.isdigit() for path in folder.glob("checkpoints/*")):
            assert programs[0].poll() is None, programs[0].communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        programs[1].send_signal(signal.SIGKILL)
        _, errors = programs[0].communicate(timeout=PATIENCE)
        assert programs[0].returncode == 1, errors
        assert "process 1 was lost" in errors
    assert not (folder / "summary.json").exists()

    flags = ("--profile=1:2:1", "--resume")
    with started(folder, ("cuda", "cpu", "rocm"), *flags) as programs:
        for program in programs:
            printed, errors = program.communicate(timeout=PATIENCE)
            assert program.returncode == 0, errors
            assert "Resuming after step" in printed
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["reduce"] == "host"
    assert [device["process"] for device in summary["devices"]] == [0, 1, 2]
    assert sum(device["microbatches"] for device in summary["devices"]) < 8 * OPTIONS["steps"]

    run(RunOptions.of(**OPTIONS, profile="2:1", workdir=str(tmp_path / "like")))
    assert weights_of(folder) == weights_of(tmp_path / "like")
