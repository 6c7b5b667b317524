"""Several devices a process, sums added by program or host, unlike platforms: the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsi_jax.cluster.platforms import DECLARED
from hsi_jax.launch.mpirun import ENVIRONMENT as MPI_ENVIRONMENT
from hsi_jax.launch.mpirun import find_mpirun, mpirun_command
from hsi_jax.launch.workers import Worker, Workers, free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# As many threads for all: XLA:CPU chooses kernels by their number.
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "NPROC": "4", "PYTHONPATH": str(ROOT)}
FOUR = {"profile": "2:1:1:1", "schemes": ["balanced", "adaptive"]}
KEPT = ("losses", "params", "classes", "loss")  # by whomever they were computed
END_SECONDS = 240  # on a busy machine


@pytest.fixture(scope="module")
def alone():
    """What one process with four emulated devices finds."""
    asked = {"count": 1, "rank": 0, "devices": 4, **FOUR}
    asked["schemes"] = [*FOUR["schemes"], "even"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.train.cluster_fit", json.dumps(asked)],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def train_together(tmp_path):
    """Trains in processes with so many devices; what each of them found."""

    def run(*devices, declared=(), **asked):
        address = f"127.0.0.1:{free_port()}"
        workers = []
        for rank, own in enumerate(devices):
            place = {"address": address, "count": len(devices), "rank": rank, "devices": own}
            command = (sys.executable, "-m", "tests.train.cluster_fit", json.dumps(asked | place))
            environment = ENVIRONMENT | ({DECLARED: declared[rank]} if declared else {})
            workers.append(Worker(command, environment, None, tmp_path / f"rank{rank}.log"))
        with Workers(workers) as running:
            running.wait()
        return [json.loads(worker.log.read_text().splitlines()[-1]) for worker in workers]

    return run


def train_by_mpi(*devices, **asked):
    """As `train_together`, under mpirun; what each process has found that is left."""
    program = find_mpirun()
    if program is None:
        pytest.skip("there is no Open MPI 5, or no mpi4py")
    asked = {"engine": "mpi", "count": len(devices), "devices": devices, **asked}
    command = [sys.executable, "-m", "tests.train.cluster_fit", json.dumps(asked)]
    done = subprocess.run(
        mpirun_command(program, command, len(devices)),
        env=os.environ | ENVIRONMENT | MPI_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=END_SECONDS,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert found, done.stdout + done.stderr
    return found


def assert_like(found, expected, schemes):
    for each in found:
        for scheme in schemes:
            assert each[scheme] == expected[scheme], (each["rank"], scheme)


@pytest.mark.long
def test_two_processes_of_two_devices_train_as_one_of_four(train_together, alone):
    found = train_together(2, 2, **FOUR)
    assert [each["reduction"] for each in found] == ["device", "device"]
    assert found[0]["devices"] == [2, 2]
    assert_like(found, alone, FOUR["schemes"])
    assert alone["balanced"]["microbatches"] == [45, 18, 18, 18]
    assert alone["adaptive"]["timed"] == [1, 3, 5, 7]


def test_hosts_add_to_the_same_bits(train_together, alone):
    found = train_together(2, 2, reduce="host", **FOUR)
    assert [each["reduction"] for each in found] == ["host", "host"]
    assert_like(found, alone, FOUR["schemes"])


def test_unlike_platforms_with_unlike_numbers_of_devices(train_together, alone):
    asked = FOUR | {"schemes": ["adaptive"]}
    found = train_together(1, 3, declared=("cpu", "cuda"), **asked)
    assert [each["reduction"] for each in found] == ["host", "host"]
    assert found[1]["devices"] == [1, 3]
    assert_like(found, alone, asked["schemes"])


@pytest.mark.long
@pytest.mark.parametrize(
    ("reduce", "rank", "part", "corrupt_at"),
    [
        ("device", 1, "opt_state", 6),
        ("host", 1, "params", 6),
        ("host", 0, "opt_state", 6),
    ],
)
def test_a_replica_that_has_drifted_ends_all_and_is_not_saved(
    train_together, reduce, rank, part, corrupt_at
):
    # One process flips a bit. Step 6 is compared, because it would be saved; with a host's sums,
    # what process 0 sends would put a parameter of step 5 right.
    flip = {"corrupt": rank, "part": part, "corrupt_at": corrupt_at}
    asked = {"profile": "2:1", "schemes": ["balanced"]} | flip
    for each in train_together(1, 1, reduce=reduce, check_every=100, save_every=3, **asked):
        assert each["saved"] == [3]
        assert f"process {rank}" in each["drift"]
        assert "after step 6" in each["drift"]
        assert "after step 3" in each["drift"]


@pytest.mark.parametrize(
    ("reduce", "fault"),
    [
        ("device", "labels"),
        pytest.param("host", "labels", marks=pytest.mark.long),
        pytest.param("device", "cube", marks=pytest.mark.long),
    ],
)
def test_a_process_with_other_data_ends_all_and_is_named(train_together, reduce, fault):
    planted = {"audit": 4, "planted": 1, "fault": fault}
    asked = {"profile": "2:1:1", "schemes": ["balanced"], "save_every": 1} | planted
    for each in train_together(1, 1, 1, reduce=reduce, **asked):
        assert each["drift"].startswith("device 1 does not compute what like devices compute")
        assert fault == "cube" or "audit of step 0 (this was the first audit)" in each["drift"]
        assert fault == "cube" or not each["saved"]


@pytest.mark.parametrize(
    ("reduce", "phase", "rank"),
    [
        ("device", "update", 1),
        pytest.param("device", "reading", 2, marks=pytest.mark.long),
        pytest.param("device", "computing", 1, marks=pytest.mark.long),
        pytest.param("host", "reading", 1, marks=pytest.mark.long),
        pytest.param("host", "computing", 2, marks=pytest.mark.long),
        pytest.param("host", "update", 0, marks=pytest.mark.long),
    ],
)
def test_a_process_that_is_slow_in_one_phase_is_named_with_it(train_together, reduce, phase, rank):
    slow = {"slow": phase, "slow_rank": rank, "schemes": ["balanced"], "profile": "1:1:1"}
    for each in train_together(1, 1, 1, reduce=reduce, **slow):
        assert each["balanced"]["slow"] == [rank, phase]


@pytest.mark.long
def test_an_audit_over_mpi_names_the_device_and_keeps_the_bits(alone):
    planted = {"audit": 2, "planted": 2, "fault": "labels"}
    asked = {"profile": "2:1:1", "schemes": ["balanced"]}
    for each in train_by_mpi(1, 1, 1, **asked | planted):
        assert each["drift"].startswith("device 2 does not compute what like devices compute")
    found = train_by_mpi(1, 3, **FOUR | {"audit": 2})
    assert_like(found, alone, FOUR["schemes"])


@pytest.mark.long
def test_processes_over_mpi_add_to_the_same_bits(alone):
    schemes = [*FOUR["schemes"], "even"]
    found = train_by_mpi(1, 3, **FOUR | {"schemes": schemes})
    assert [each["reduction"] for each in found] == ["host", "host"]
    assert found[0]["devices"] == [1, 3]
    assert_like(found, alone, schemes)


@pytest.mark.long
def test_survivors_make_good_what_is_lost_to_the_same_bits(alone):
    # Process 3 is lost as all ask for signals, process 0 as the sums of step 2 are added, and
    # process 1 as predictions are gathered. The last one trains once more, alone.
    asked = FOUR | {"schemes": ["balanced", "even"], "die": {"3": 2, "0": 6, "1": 17}}
    (left,) = train_by_mpi(1, 1, 1, 1, **asked)
    assert left["rank"] == 2
    assert left["lost"] == [[3, 1], [0, 2], [1, 0]]
    for scheme in asked["schemes"]:
        for name in KEPT:
            assert left[scheme][name] == alone[scheme][name], (scheme, name)


@pytest.mark.long
def test_a_loss_while_another_is_made_good(alone):
    # With shares by an inexact scheme, whose lost parts keep their weights.
    asked = FOUR | {"schemes": ["even"], "die": {"0": 3}, "die_as_another_has": 1}
    found = train_by_mpi(1, 1, 2, **asked)
    for left in found:
        assert left["lost"] == [[0, 1], [1, 1]]
        assert {name: left["even"][name] for name in KEPT} == {
            name: alone["even"][name] for name in KEPT
        }
