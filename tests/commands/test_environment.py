"""Environments as people have them: a run trains as elsewhere, or ends in one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = [
    *(
        sys.executable,
        "-m",
        "experiments.run",
        "--model=mlp",
        "--steps=2",
        "--patch_size=1",
        "--figures=none",
    ),
    *("--model_options=hidden=(8, 8); dropout=0", "--components=4"),
]


def start(workdir, *flags, environment=None, command=(), **streams):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.Popen(
        [*command, *RUN, *flags, f"--workdir={workdir}"],
        env=os.environ | (environment or {}),
        cwd=ROOT,
        text=True,
        **streams,
    )


def losses(workdir):
    return json.loads((workdir / "summary.json").read_text())["losses_first_steps"]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The losses in an environment of nothing special."""
    workdir = tmp_path_factory.mktemp("usual") / "run"
    process = start(workdir)
    assert process.communicate()[1] == ""
    return losses(workdir)


@pytest.mark.long
@pytest.mark.slow
def test_variables_that_would_change_or_stop_a_training_are_told_and_not_followed(
    tmp_path, expected
):
    strange = {
        "MPLBACKEND": "module://no_such_notebook.backend",
        "JAX_ENABLE_X64": "1",
        "JAX_DISABLE_JIT": "1",
        "JAX_TRANSFER_GUARD": "disallow",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_NUM_CPU_DEVICES": "2",
        "PYTHONIOENCODING": "ascii:strict",
    }
    process = start(tmp_path / "run", environment=strange)
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert error.count("\n") == 1
    for name in strange:
        assert (name in error) == name.startswith("JAX") or name == "JAX_NUM_CPU_DEVICES"
    assert losses(tmp_path / "run") == expected
    assert out.isascii()


@pytest.mark.slow
@pytest.mark.parametrize(
    "variable",
    [
        "JAX_PLATFORMS=no_such",
        "JAX_NUM_CPU_DEVICES=many",
        pytest.param("JAX_PLATFORMS=cuda", marks=pytest.mark.long),
        pytest.param("XLA_FLAGS=--xla_force_host_platform_device_count=2", marks=pytest.mark.long),
        pytest.param("OMPI_COMM_WORLD_SIZE=2", marks=pytest.mark.long),
        pytest.param("WORLD_SIZE=2", marks=pytest.mark.long),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_variable(variable, tmp_path):
    name, value = variable.split("=", 1)
    process = start(tmp_path / "run", environment={name: value})
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert name.lower() in error.lower()
    assert not (tmp_path / "run").exists()


@pytest.mark.long
@pytest.mark.slow
def test_nobody_who_reads_is_no_reason_to_stop(tmp_path, expected):
    closed = start(tmp_path / "closed", command=("sh", "-c", '"$@" >&- 2>&- <&-', "sh"))
    head = start(tmp_path / "pipe", command=("sh", "-c", '"$@" | head -1', "sh"))
    with open("/dev/full", "w") as full:
        disk = start(tmp_path / "disk", stdout=full)
        for process in (closed, head, disk):
            errors = process.communicate(timeout=120)[1]
            assert (process.returncode, errors or "") == (0, "")
    for name in ("closed", "pipe", "disk"):
        assert losses(tmp_path / name) == expected
        assert (tmp_path / name / "prediction.npz").exists()


@pytest.mark.long
@pytest.mark.slow
def test_a_second_run_in_a_folder_is_refused_until_the_first_has_died(tmp_path):
    first = start(tmp_path / "run", "--steps=1000000")
    while "Training" not in first.stdout.readline():
        assert first.poll() is None
    later = [start(tmp_path / "run", flag) for flag in ("--seed=1", "--overwrite", "--resume")]
    for second in later:
        _, error = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"in use by process {first.pid}" in error
    first.send_signal(signal.SIGKILL)
    first.communicate()
    third = start(tmp_path / "run", "--overwrite")
    assert third.communicate(timeout=60)[1] == ""
    assert third.returncode == 0
