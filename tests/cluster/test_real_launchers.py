"""Real launchers start processes that find each other; each is skipped where it is missing.

SLURM must be running with the partitions of `slurm_two_nodes.sh`, which starts it on one machine.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PYTHON = (sys.executable, "-m", "tests.cluster.launched")
SECONDS = 240  # on a busy machine


@functools.cache
def has_slurm() -> bool:
    if shutil.which("srun") is None or shutil.which("sinfo") is None:
        return False
    done = subprocess.run(
        ["sinfo", "-h", "-p", "all", "-o", "%D"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() == "2"


def mpiruns() -> dict[str, str]:
    """The programs by the kind of MPI that they tell of themselves."""
    found = {}
    for name in ("mpirun", "mpirun.openmpi", "mpirun.mpich", "mpiexec.hydra"):
        if path := shutil.which(name):
            told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            kinds = {"Open MPI": "Open MPI", "Intel": "Intel MPI", "HYDRA": "MPICH"}
            kind = next((kinds[word] for word in kinds if word in told.stdout), None)
            found.setdefault(kind, path)
    return found


def start(*command: str, environment: dict[str, str] | None = None) -> list[dict]:
    """What the processes of a command say, by rank."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMI", "OMPI"))}
    own = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **(environment or {})}
    done = subprocess.run(
        [*command, *PYTHON],
        env=inherited | own,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return sorted(lines, key=lambda line: line["rank"])


def assert_joined(found: list[dict], count: int, devices: int = 1) -> None:
    assert [line["rank"] for line in found] == list(range(count))
    for line in found:
        assert line["processes"] == count
        assert line["sum"] == count * (count + 1) / 2
        assert line["devices"] == [devices] * count
        assert line["reduction"] == "device"


@pytest.mark.parametrize("kind", ["Open MPI", "MPICH", "Intel MPI"])
def test_mpirun(kind):
    program = mpiruns().get(kind)
    if program is None:
        pytest.skip(f"there is no mpirun of {kind}")
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    oversubscribe = ["--oversubscribe"] if kind == "Open MPI" else []
    found = start(program, *oversubscribe, "-n", "2", environment={**root, "TEST_DEVICES": "2"})
    assert_joined(found, 2, devices=2)


def test_torchrun():
    # It is part of PyTorch, which may be in another Python.
    torch_python = os.environ.get("HSI_JAX_TEST_TORCH_PYTHON", sys.executable)
    program = shutil.which(Path(torch_python).with_name("torchrun")) or shutil.which("torchrun")
    if program is None:
        pytest.skip("there is no torchrun; HSI_JAX_TEST_TORCH_PYTHON may name a Python that has it")
    found = start(program, "--standalone", "--nproc_per_node=2", "--no-python")
    assert_joined(found, 2)


@pytest.mark.parametrize(
    "flags",
    [
        ("--partition=all", "--nodes=2", "--ntasks=3"),
        ("--partition=all", "--nodes=1", "--ntasks=2"),
        ("--partition=new", "--ntasks=1", ":", "--partition=old", "--ntasks=1"),
    ],
    ids=["two nodes", "two tasks of a node", "a heterogeneous job"],
)
def test_srun(flags):
    if not has_slurm():
        pytest.skip("no SLURM with the partitions of tests/cluster/slurm_two_nodes.sh is running")
    count = sum(int(flag.removeprefix("--ntasks=")) for flag in flags if "ntasks" in flag)
    if ":" in flags:  # each part of it needs the program
        at = flags.index(":")
        found = start("srun", *flags[:at], *PYTHON, ":", *flags[at + 1 :])
    else:
        found = start("srun", *flags)
    assert_joined(found, count)
