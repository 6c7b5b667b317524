"""Several processes over gloo: the same bits as one, and clear ends where they cannot train."""

import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from hsi_jax.cluster import processes as cluster
from hsi_jax.errors import InputError
from hsi_jax.launch.workers import Worker, WorkerError, Workers, free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ONE_THREAD = {"JAX_PLATFORMS": "cpu", "NPROC": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
SMALL = (
    "--steps=12",
    "--model=mlp",
    "--patch_size=1",
    "--figures=none",
    "--batch_size=60",
    "--microbatch_size=8",
)
SIZES = ("--model_options=hidden=(8, 8)", "--optimizer=sgd", "--learning_rate=0.1")


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def run_together(tmp_path):
    """Runs a command for each rank; returns what each printed."""

    def run(*commands):
        logs = [tmp_path / f"rank{rank}.log" for rank in range(len(commands))]
        started = [
            Worker((sys.executable, "-m", "experiments.run", *command), ONE_THREAD, None, log)
            for command, log in zip(commands, logs, strict=True)
        ]
        with Workers(started) as running:
            running.wait()
        return [log.read_text() for log in logs]

    return run


def members(count: int, *flags: str) -> list[tuple[str, ...]]:
    address = free_address()
    return [
        (*flags, f"--coordinator={address}", f"--num_processes={count}", f"--process_id={rank}")
        for rank in range(count)
    ]


def results(folder: Path) -> tuple[dict, dict]:
    with np.load(folder / "model" / "weights.npz") as arrays:
        return json.loads((folder / "summary.json").read_text()), dict(arrays)


@pytest.mark.long
def test_three_measured_and_rebalanced_processes_give_the_bits_of_one_at_work(
    run_together, tmp_path
):
    alone, together = tmp_path / "alone", tmp_path / "together"
    # One does it all, and a second looks on: XLA compiles otherwise for a single device.
    run_together(*members(2, *SMALL, *SIZES, "--profile=1:0", f"--workdir={alone}"))
    adaptive = ("--scheme=adaptive", "--retime_every=4", f"--workdir={together}")
    printed = run_together(*members(3, *SMALL, *SIZES, *adaptive))

    (summary, parameters), (expected, expected_parameters) = results(together), results(alone)
    assert summary["losses_first_steps"] == expected["losses_first_steps"]
    assert len(summary["losses_first_steps"]) == 12
    assert summary["confusion_matrix"] == expected["confusion_matrix"]
    assert parameters.keys() == expected_parameters.keys()
    for name, array in parameters.items():
        assert np.array_equal(array, expected_parameters[name]), name

    assert summary["profile"] == "measured"
    assert summary["num_devices"] == 3
    assert sum(summary["shares"]) == 8
    assert all(speed > 0 for speed in summary["speeds"])
    # Every fourth step, and others between where the last times were a surprise.
    assert {record["step"] for record in summary["rebalancing"]} >= {3, 7, 11}
    assert all(min(r["device_seconds"]) > 0 for r in summary["rebalancing"])
    profile = json.loads((together / "profile.json").read_text())
    assert profile["time_unit"] == "s"
    assert len(profile["devices"]) == 3
    for rank, text in enumerate(printed):
        assert f"[{rank}] Test, random split" in text
        assert ("Results:" in text) == (rank == 0)


def test_processes_with_different_flags_are_told_which(run_together, tmp_path):
    first, second = members(2, *SMALL, *SIZES, "--profile=1:1", f"--workdir={tmp_path / 'run'}")
    with pytest.raises(WorkerError, match=r"--seed differs between process 0 and process 1"):
        run_together(first, (*second, "--seed=1"))
    assert not (tmp_path / "run").exists()


def test_a_profile_of_another_number_of_devices_is_refused(run_together):
    with pytest.raises(WorkerError, match=r"--profile=1:1:1 has 3 devices, but 2 processes"):
        run_together(*members(2, *SMALL, *SIZES, "--profile=1:1:1"))


@pytest.mark.parametrize("address", ["nowhere", ":80", "host:", "host:x"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(InputError, match="give HOST:PORT of process 0"):
        cluster.join_cluster(address, 2, 0)


def test_a_port_in_use_is_refused():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}: process 0 cannot listen"):
            cluster.join_cluster(f"127.0.0.1:{port}", 2, 0)


def test_a_coordinator_that_cannot_be_reached_is_told(monkeypatch):
    monkeypatch.setattr(cluster, "JOIN_SECONDS", 0.5)
    address = free_address()
    with pytest.raises(InputError, match=f"{address} cannot be reached after 0.5 s"):
        cluster.join_cluster(address, 2, 1)


def test_waiting_for_somebody_who_never_comes_ends(monkeypatch):
    monkeypatch.setattr(cluster, "JOIN_SECONDS", 0.5)
    address = free_address()
    with pytest.raises(InputError, match=r"process 1 did not come"):
        cluster.join_cluster(address, 2, 0)
    with socket.create_server(("127.0.0.1", int(address.split(":")[1]))):
        pass  # the port is free again


def test_one_process_gathers_alone():
    assert cluster.gather(np.arange(3)).tolist() == [[0, 1, 2]]
    assert cluster.gather_hosts() == [socket.gethostname()]
    assert cluster.broadcast(b"mine") == b"mine"
    cluster.check_alike({"seed": 1, "cube": None})


BROADCAST = """
import sys
from hsi_jax.cluster import processes as cluster
cluster.join_cluster(sys.argv[1], 2, int(sys.argv[2]))
cluster.BROADCAST_BYTES = 7
for data in (b"", b"\\0\\0\\0\\x80", bytes(range(256))):  # the second is -0.0
    assert cluster.broadcast(data if cluster.rank() == 0 else b"other") == data
"""


def test_everybody_gets_the_bytes_of_process_0(tmp_path):
    address = free_address()
    command = (sys.executable, "-c", BROADCAST, address)
    workers = [
        Worker((*command, str(rank)), ONE_THREAD, None, tmp_path / f"{rank}.log")
        for rank in range(2)
    ]
    with Workers(workers) as running:
        running.wait()


def test_a_mistake_that_one_process_alone_finds_ends_all(run_together, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").touch()
    flags = (*SMALL, *SIZES, "--profile=1:1", f"--workdir={tmp_path / 'run'}")
    message = r"(?s)rank 0 ended with exit code 2.*already holds thesis.tex"
    with pytest.raises(WorkerError, match=message):
        run_together(*members(2, *flags))
