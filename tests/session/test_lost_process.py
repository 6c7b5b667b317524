"""A process that is killed while it trains ends the others soon, with a line that says so."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hsi_jax.launch.workers import free_port

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="uneven processes need Linux"),
    pytest.mark.slow,
    pytest.mark.long,
]

ROOT = Path(__file__).parents[2]
SMALL = (
    *(
        "--steps=100000",
        "--figures=none",
        "--model=mlp",
        "--model_options=hidden=(8, 8)",
        "--patch_size=1",
    ),
    *("--batch_size=48", "--microbatch_size=8", "--profile=1:1:1"),
)
PATIENCE = 60  # s, for the end
STARTING = 240  # s, on a busy machine


@contextlib.contextmanager
def started(*command):
    program = subprocess.Popen(
        [sys.executable, *(() if command[0] == "-c" else ("-m",)), *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"JAX_PLATFORMS": "cpu", "NPROC": "1", "PATH": ""},
    )
    with program:  # closes its pipes, whatever the test came to
        try:
            yield program
        finally:
            program.kill()


def wait_for_steps(workdir: Path, program: subprocess.Popen) -> None:
    metrics = workdir / "metrics.jsonl"
    deadline = time.monotonic() + STARTING
    while not metrics.exists() or metrics.read_text().count("step_seconds") < 3:
        assert time.monotonic() < deadline
        assert program.poll() is None, program.communicate()
        time.sleep(0.1)


@contextlib.contextmanager
def three_by_hand(workdir):
    """Three processes that train, and the address at which they met."""
    address = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        ranks = []
        for rank in range(3):
            place = (f"--coordinator={address}", "--num_processes=3", f"--process_id={rank}")
            program = started("experiments.run", *SMALL, *place, f"--workdir={workdir}")
            ranks.append(stack.enter_context(program))
        wait_for_steps(workdir, ranks[0])
        yield address, ranks


def listening(process: psutil.Process) -> set[str]:
    connections = process.net_connections("tcp")
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize(
    ("victim", "number"),
    [(2, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGSTOP), (0, signal.SIGSTOP)],
)
def test_survivors_started_by_hand_end_with_a_line(tmp_path, victim, number):
    with three_by_hand(tmp_path / "run") as (_, ranks):
        local = {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
        hosts = {socket.gethostbyname(socket.gethostname())}  # Gloo listens there
        for program in ranks:
            assert listening(psutil.Process(program.pid)) <= local | hosts
        ranks[victim].send_signal(number)
        for rank in {0, 1, 2} - {victim}:
            _, err = ranks[rank].communicate(timeout=PATIENCE)
            assert ranks[rank].returncode == 1
            assert re.fullmatch(rf"error: \[{rank}\] process {victim} was lost.*\n", err), err


def test_a_number_given_twice_and_garbage_do_not_end_the_run(tmp_path):
    with three_by_hand(tmp_path / "run") as (address, ranks):
        for connection in psutil.Process(ranks[0].pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                with socket.create_connection((connection.laddr.ip, connection.laddr.port)) as one:
                    one.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(range(256)))
        place = (f"--coordinator={address}", "--num_processes=3", "--process_id=1")
        with started("experiments.run", *SMALL, *place) as second:
            _, err = second.communicate(timeout=STARTING)
            assert second.returncode == 2
            assert "number 1 already" in err
        assert [program.poll() for program in ranks] == [None] * 3


FAILING = """
import sys
from hsi_jax.__main__ import start
from hsi_jax.cluster.processes import rank
from hsi_jax.session import running
real = running.set_up
def fail(*arguments):
    if rank() == 0:
        raise OSError(30, "Read-only file system")
    return real(*arguments)
running.set_up = fail
start("run", sys.argv[1:])
"""


def test_an_error_of_process_0_that_is_not_ours_ends_all_with_its_reason(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        ranks = []
        for rank in range(2):
            place = (f"--coordinator={address}", "--num_processes=2", f"--process_id={rank}")
            flags = (*SMALL, "--profile=1:1", *place, f"--workdir={tmp_path / 'run'}")
            ranks.append(stack.enter_context(started("-c", FAILING, *flags)))
        for rank, program in enumerate(ranks):
            _, err = program.communicate(timeout=STARTING)
            assert program.returncode == 1
            assert re.fullmatch(rf"error: \[{rank}\] .*Read-only file system.*\n", err), err


def test_a_killed_rank_ends_the_launched_run(tmp_path):
    workdir, logs = tmp_path / "run", tmp_path / "logs"
    own = ("--profile=2:1:1", f"--log_dir={logs}", "--")
    with started("experiments.launch", *own, *SMALL, f"--workdir={workdir}") as program:
        wait_for_steps(workdir, program)
        children = psutil.Process(program.pid).children(recursive=True)
        killed = next(child for child in children if "--process_id=1" in child.cmdline())
        killed.send_signal(signal.SIGKILL)
        _, err = program.communicate(timeout=PATIENCE)
    assert program.returncode == 1
    assert "error: rank 1 was killed by SIGKILL" in err
    assert "Traceback" not in err
    assert not any(child.is_running() for child in children)
