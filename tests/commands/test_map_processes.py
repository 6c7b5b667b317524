"""Maps by many processes: the bytes of one, also where some of them, or all, are killed."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from hsi_jax.cluster.launchers import find_rank
from hsi_jax.commands.launch import main, parse
from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import parse_profile
from hsi_jax.launch.map_launching import MapLaunch, launch_map
from hsi_jax.launch.mpirun import ENVIRONMENT, find_mpirun, mpirun_command
from hsi_jax.launch.workers import WorkerError
from hsi_jax.run.tile_store import tiles_of
from tests.trained.test_scene_map import BANDS, model_of

ROOT = Path(__file__).parents[2]
SHAPE = 400, 330  # 42 tiles
ONE_THREAD = os.environ | ENVIRONMENT | {"NPROC": "1"}  # as launch has it: others round otherwise

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uneven processes need Linux")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model, a scene, and the map of the scene by one process."""
    folder = tmp_path_factory.mktemp("maps")
    model_of("cnn2d").save(folder / "model")
    cube = np.random.default_rng(0).normal(size=(*SHAPE, BANDS)).astype(np.float32)
    np.save(folder / "scene.npy", cube)
    subprocess.run(predict_command(folder, "one"), cwd=ROOT, env=ONE_THREAD, check=True)
    return folder


def flags(folder, name):
    (folder / name).mkdir(exist_ok=True)
    return [
        f"--model_dir={folder / 'model'}",
        f"--cube={folder / 'scene.npy'}",
        f"--output={folder / name / 'map.npy'}",
        f"--probabilities={folder / name / 'p.npy'}",
        "--method=patches",
    ]


def predict_command(folder, name):
    return (sys.executable, "-m", "hsi_jax", "predict", *flags(folder, name))


def made(folder, name):
    return tiles_of(folder / name / "map.npy")[0]


def wait_for_tiles(folder, name, count, deadline=120.0):
    end = time.monotonic() + deadline
    while made(folder, name) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def predicting(below):
    """The processes that predict, below one."""
    found = []
    for process in below.children(recursive=True):
        try:
            if process.environ().get("RANK", process.environ().get("OMPI_COMM_WORLD_RANK")):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if "predict" in process.cmdline()]


def assert_same(folder, name):
    files = {path.name for path in (folder / "one").iterdir()}
    assert {path.name for path in (folder / name).iterdir()} == files
    for file in ("map.npy", "p.npy", "map_areas.csv"):
        assert (folder / name / file).read_bytes() == (folder / "one" / file).read_bytes()


@pytest.mark.long
@pytest.mark.slow
def test_launched_processes_of_which_one_is_killed(folder, capfd):
    def kill():
        wait_for_tiles(folder, "launched", 6)
        predicting(psutil.Process())[1].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    main(["launch", "--profile=2:1:1", "--", "predict", *flags(folder, "launched")])
    killer.join()
    assert_same(folder, "launched")
    told = capfd.readouterr()
    assert "rank 1 was killed by SIGKILL" in told.err
    assert "rank 2: Predicted here" in told.out


@pytest.mark.long
@pytest.mark.slow
def test_all_are_killed_and_others_go_on(folder):
    """First by mpirun, where it is there, then two that nobody has started together."""
    program = find_mpirun()
    command = list(predict_command(folder, "killed"))
    if program is not None:
        command = mpirun_command(program, command, 2)
    first = subprocess.Popen(command, cwd=ROOT, env=ONE_THREAD)
    wait_for_tiles(folder, "killed", 4)
    for process in psutil.Process(first.pid).children(recursive=True):
        process.kill()
    first.kill()
    first.wait()
    assert 4 <= made(folder, "killed") < 42
    command = predict_command(folder, "killed")
    others = [subprocess.Popen(command, cwd=ROOT, env=ONE_THREAD) for _ in range(2)]
    # One of them may come when the map is there: nobody has told that they belong together.
    assert 0 in [other.wait() for other in others]
    assert_same(folder, "killed")


@pytest.mark.slow
def test_a_mistake_and_the_loss_of_all_end_the_launch(tmp_path):
    profile = parse_profile("1:1")
    for code, exit_code in (("raise SystemExit(2)", 2), ("import os; os.kill(os.getpid(), 9)", -9)):
        command = (sys.executable, "-c", code)
        with pytest.raises(WorkerError) as ended:
            launch_map(MapLaunch(profile, command, lambda: (0, 0), str(tmp_path)))
        assert ended.value.exit_code == exit_code


def test_what_goes_with_trainings_alone():
    predict = ["predict", "--run=a", "--output=map.tif"]
    asked = parse(["launch", "--profile=2:1", "--", *predict])
    assert asked.command[1:] == ("-m", "hsi_jax", *predict)
    assert asked.tiles() == (0, 0)
    with pytest.raises(InputError, match="max_restarts"):
        parse(["launch", "--profile=2:1", "--max_restarts=1", "--", *predict])
    with pytest.raises(InputError, match="output"):
        parse(["launch", "--profile=2:1", "--", *predict[:2]])


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, None),
        ({"WORLD_SIZE": "1", "RANK": "0"}, None),
        ({"WORLD_SIZE": "3", "RANK": "2"}, 2),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, 1),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}, 3),
        ({"SLURM_STEP_NUM_TASKS": "4"}, None),
    ],
)
def test_the_number_of_a_process(environment, rank):
    assert find_rank(environment) == rank
