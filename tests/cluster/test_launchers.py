"""The variables of launchers, as real ones set them, and as broken environments have them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsi_jax.cluster import launchers
from hsi_jax.cluster.launchers import (
    describe_unused_tasks,
    find_place,
    first_node,
    local_device_ids,
)
from hsi_jax.errors import InputError

ROOT = Path(__file__).parents[2]
OPEN_MPI_5 = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "PMIX_RANK": "1",
}
OPEN_MPI_4 = OPEN_MPI_5 | {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
}
MPICH = {"PMI_SIZE": "4", "PMI_RANK": "3", "MPI_LOCALRANKID": "3", "MPI_LOCALNRANKS": "4"}
TORCHRUN = {
    "WORLD_SIZE": "2",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "1",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_JOB_ID": "4242",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_NTASKS": "3",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_STEP_NODELIST": "n[1-2]",
}


def place_of(environment):
    place = find_place(environment)
    return place.coordinator.rpartition(":")[0], place.num_processes, place.process_id


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (OPEN_MPI_5 | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, ("127.0.0.1", 2, 1)),
        (OPEN_MPI_5 | {"PMIX_NAMESPACE": "prterun-my-node-11278@1"}, ("my-node", 2, 1)),
        (OPEN_MPI_4, ("10.96.0.1", 2, 1)),
        (OPEN_MPI_5 | {"SLURM_JOB_NODELIST": "gpu[07,9]"}, ("gpu07", 2, 1)),
        (OPEN_MPI_5 | {"JAX_COORDINATOR_ADDRESS": "head:99"}, ("head", 2, 1)),
        (MPICH, ("127.0.0.1", 4, 3)),
        (MPICH | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}, ("127.0.0.1", 4, 3)),
        (TORCHRUN, ("node1", 2, 0)),
        (TORCHRUN | {"MASTER_ADDR": "fe80::1"}, ("[fe80::1]", 2, 0)),
        (SLURM, ("n1", 3, 2)),
        (SLURM | {"PMI_SIZE": "3", "PMI_RANK": "2"}, ("n1", 3, 2)),
        (SLURM | {"WORLD_SIZE": "8", "MASTER_ADDR": "n1", "MASTER_PORT": "1"}, ("n1", 3, 2)),
    ],
)
def test_a_process_finds_its_place(environment, expected):
    assert place_of(environment) == expected


def test_the_port_is_that_of_the_job():
    ports = {find_place(SLURM | {"SLURM_PROCID": str(rank)}).coordinator for rank in range(3)}
    assert len(ports) == 1
    assert find_place(SLURM | {"SLURM_STEP_ID": "1"}).coordinator not in ports
    assert find_place(SLURM | {"JAX_COORDINATOR_PORT": "77"}).coordinator == "n1:77"
    assert find_place(TORCHRUN).coordinator == "node1:29501"  # torchrun has 29500


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "1"},
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
        {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"},
        {"OMPI_COMM_WORLD_SIZE": "1", "WORLD_SIZE": "1", "PMI_SIZE": "1"},
    ],
)
def test_a_process_alone_has_none(environment):
    assert find_place(environment) is None


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (OPEN_MPI_5, "OMPI_COMM_WORLD_SIZE=2"),
        (MPICH | {"MPI_LOCALNRANKS": "2"}, "PMI_SIZE=4"),
        ({"PMI_SIZE": "4"}, "PMI_RANK is not set"),
        ({"WORLD_SIZE": "4"}, "RANK is not set"),
        (TORCHRUN | {"RANK": "two"}, "RANK=two"),
        (TORCHRUN | {"RANK": "2"}, "RANK=2"),
        (TORCHRUN | {"WORLD_SIZE": "many"}, "WORLD_SIZE=many"),
        ({**TORCHRUN, "MASTER_ADDR": "a", "MASTER_PORT": ""}, "WORLD_SIZE=2"),
        ({k: v for k, v in SLURM.items() if k != "SLURM_STEP_NODELIST"}, "SLURM_STEP_NUM_TASKS=3"),
    ],
)
def test_what_does_not_suffice_is_named_with_what_to_give(environment, named):
    with pytest.raises(InputError) as caught:
        find_place(environment)
    message = str(caught.value)
    for part in (named, "`coordinator`", "`num_processes`", "`process_id`", "unset"):
        assert part in message


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("node[001-0015],host2", "node001"),
        ("node[001,007-015]", "node001"),
        ("gpu[01-02]-ib", "gpu01-ib"),
        ("rack[1-2]node[3,4]", "rack1node3"),
        ("a[1-2]-x,b", "a1-x"),
    ],
)
def test_the_first_node_of_a_list(nodes, first):
    assert first_node(nodes) == first


def test_a_shell_that_got_the_variables_of_a_step_is_told(monkeypatch):
    monkeypatch.setattr(launchers, "NEIGHBOUR_SECONDS", 0.0)
    shell = SLURM | {"SLURM_NODEID": "0", "SLURM_JOB_ID": "no such job"}
    with pytest.raises(InputError, match="only this one"):
        find_place(shell)


def test_another_task_of_the_step_is_seen(monkeypatch):
    monkeypatch.setattr(launchers, "NEIGHBOUR_SECONDS", 10.0)
    mine = SLURM | {"SLURM_NODEID": "0", "SLURM_JOB_ID": str(os.getpid())}
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, env=mine | {"SLURM_PROCID": "0"}) as other:
        assert place_of(mine) == ("n1", 3, 2)
        other.kill()


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"SLURM_NTASKS": "4"}, True),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, False),
        ({"SLURM_NTASKS": "1"}, False),
        ({}, False),
    ],
)
def test_tasks_that_are_not_used_are_told(environment, told):
    assert ("SLURM_NTASKS=4" in describe_unused_tasks(environment)) == told


@pytest.mark.parametrize(("visible", "device"), [(None, 1), ("0,1", 1), ("3", 0), ("GPU-ab", 0)])
def test_a_process_takes_the_accelerator_that_is_its_own(visible, device, monkeypatch):
    monkeypatch.delenv("ROCR_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local_device_ids(find_place(SLURM), 1) == [device]
    without = find_place({k: SLURM[k] for k in SLURM if k != "SLURM_LOCALID"})
    assert local_device_ids(without, 1) is None


@pytest.mark.parametrize(
    ("visible", "devices"), [(None, [2, 3]), ("0,1,2,3", [2, 3]), ("5,7", [0, 1])]
)
def test_a_process_takes_several_accelerators(visible, devices, monkeypatch):
    monkeypatch.delenv("ROCR_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local_device_ids(find_place(SLURM), 2) == devices


# Each process finds the other by what its launcher has told it; what starts them is this test.
@pytest.mark.slow
def test_processes_of_mpich_join():
    code = (
        "from hsi_jax.cluster import processes; processes.join_cluster(); "
        "print(processes.gather_hosts().__len__(), processes.rank())"
    )
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PMI_SIZE": "2",
        "MPI_LOCALNRANKS": "2",
        "http_proxy": "http://192.0.2.1:3128",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=3",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment | {"PMI_RANK": str(rank), "MPI_LOCALRANKID": str(rank)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [process.communicate(timeout=120) for process in started]
    assert [out.splitlines()[-1:] for out, _ in ended] == [["2 0"], ["2 1"]], ended
    assert [error for _, error in ended] == ["", ""]
