"""Processes under mpirun of which some are lost, with stand-ins for runs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hsi_jax.hetero.profile import parse_profile
from hsi_jax.launch.launching import Launch, launch
from hsi_jax.launch.mpirun import find_mpirun
from hsi_jax.launch.restarts import Restarts
from hsi_jax.launch.workers import WorkerError

pytestmark = [
    pytest.mark.skipif(find_mpirun() is None, reason="there is no Open MPI 5, or no mpi4py"),
    pytest.mark.slow,
]

ROOT = Path(__file__).parents[2]
SOON = 60  # s, on a busy machine

# It ends as it is told for its rank: well, or by killing itself; or it waits.
STAND_IN = """
import os, signal, sys, time
folder, ends = sys.argv[1], sys.argv[2].split(',')
rank = os.environ['OMPI_COMM_WORLD_RANK']
how = ends[int(rank)]
print('rank', rank, 'on', *sorted(os.sched_getaffinity(0)), flush=True)
open(folder + '/here' + rank, 'w').close()
while len([name for name in os.listdir(folder) if name.startswith('here')]) < len(ends):
    time.sleep(0.01)
if how == 'wait':
    time.sleep(600)
if how == 'die':
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.5)
print('rank', rank, 'has ended', flush=True)
open(folder + '/summary.json', 'w').close()
sys.exit(int(how))
"""


def launch_stand_in(folder, *ends, restarts=Restarts()):  # noqa: B008, it is frozen
    """Launches processes that end as told; later starts do as the first, as far as they go."""

    def command(run_flags, coordinator, num_processes, process_id):
        assert coordinator == ""
        for file in folder.glob("here*"):
            file.unlink()
        told = ",".join(ends[:num_processes])
        return (sys.executable, "-S", "-c", STAND_IN, str(folder), told)

    profile = parse_profile(":".join("1" * len(ends)))
    launch(
        Launch(profile, (), folder, log_dir=str(folder), restarts=restarts, mpirun=find_mpirun()),
        command,
    )


def test_the_others_go_on_and_all_are_shown(tmp_path, capfd):
    launch_stand_in(tmp_path, "die", "0", "0")
    out, _ = capfd.readouterr()
    assert "rank 0 on" in out
    assert "rank 0 has ended" not in out
    assert "rank 1 has ended" in out
    assert "rank 2 has ended" in out
    assert all(len(line.split()) == 4 for line in out.splitlines() if " on " in line)  # one core
    assert "no process was slowed" in out


def test_when_all_are_lost_they_start_again_without_one(tmp_path, capfd):
    with pytest.raises(WorkerError, match=r"rank . was killed by SIGKILL"):
        launch_stand_in(tmp_path, "die", "die", restarts=Restarts(1, elastic=True, pause=0.0))
    out, err = capfd.readouterr()
    assert out.count("rank 0 on") == 2
    assert out.count("rank 1 on") == 2  # an idle one, beside the last with work
    assert "with 1 processes at work" in err


def test_a_mistake_is_not_tried_again(tmp_path):
    with pytest.raises(WorkerError, match="exit code 2") as caught:
        launch_stand_in(tmp_path, "2", "2", restarts=Restarts(3, elastic=True, pause=0.0))
    assert caught.value.exit_code == 2


LAUNCHER = """
from pathlib import Path
from tests.launch.test_mpi_workers import launch_stand_in
launch_stand_in(Path({folder!r}), 'wait', 'wait')
"""


def test_the_launchers_death_leaves_no_process(tmp_path):
    code = LAUNCHER.format(folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as program:
        deadline = time.monotonic() + SOON
        while len(list(tmp_path.glob("here*"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        children = psutil.Process(program.pid).children(recursive=True)
        assert len(children) >= 3
        program.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=SOON)
    assert not alive
