import math
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from hsi_jax.commands import launch as program
from hsi_jax.commands.launch import launch_help, parse
from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import parse_profile
from hsi_jax.launch import monitor
from hsi_jax.launch.launching import Launch, launch, run_command
from hsi_jax.launch.restarts import Restarts
from hsi_jax.launch.slowdown import Slowdown
from hsi_jax.launch.workers import WorkerError

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="uneven processes need Linux"),
    pytest.mark.slow,
]

ROOT = Path(__file__).parents[2]

# Stands in for a run: rank 0 writes the steps that it does until it has done them all.
STAND_IN = """
import json, os, sys, time
workdir, rank, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print('rank', rank, os.environ['NPROC'], os.environ['OMP_NUM_THREADS'], os.environ['JAX_PLATFORMS'])
time.sleep(0.3)
try:
    for step in range(steps):
        if rank == 0:
            os.makedirs(workdir, exist_ok=True)
            with open(workdir + '/metrics.jsonl', 'a') as file:
                if step == 0:
                    print(json.dumps({'kind': 'start', 'num_steps': steps}), file=file)
                record = {'kind': 'step', 'step': step, 'loss': 1.0, 'learning_rate': 0.1}
                print(json.dumps(record | {'seconds': 1.0, 'step_seconds': 0.1}), file=file)
                print(json.dumps({'kind': 'evaluation', 'step': step}), file=file)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            pass
except KeyboardInterrupt:
    print('finished early')
if sys.argv[4:] == [str(rank)]:
    sys.exit(f'rank {rank} has a bad day')
"""


def stand_in(steps, failing=None):
    """A command builder for `launch`."""

    def command(run_flags, coordinator, num_processes, process_id):
        assert re.fullmatch(r"127\.0\.0\.1:\d+", coordinator)
        (workdir,) = run_flags
        failure = () if failing is None else (str(failing),)
        program = (sys.executable, "-S", "-c", STAND_IN)
        return (*program, workdir, str(process_id), str(steps), *failure)

    return command


def launch_stand_in(tmp_path, profile, steps, slowdowns=(), failing=None, log_dir=""):
    workdir = tmp_path / "run"
    command = stand_in(steps, failing)
    asked = Launch(parse_profile(profile), (str(workdir),), workdir, tuple(slowdowns), log_dir)
    launch(asked, command)


def table(text):
    """Rank, core, speeds asked and realised, and the part of a core, as printed."""
    row = r"^ +(\d+) +(\d+) +([\d.]+) +([\d.]+) +([\d.]+)%$"
    return [tuple(map(float, found)) for found in re.findall(row, text, flags=re.MULTILINE)]


def test_processes_run_to_their_end_and_speeds_are_reported(tmp_path, capfd):
    logs = tmp_path / "logs"
    launch_stand_in(tmp_path, "4:2:1", steps=30, log_dir=str(logs))
    out, err = capfd.readouterr()
    assert err == ""
    assert out.startswith("rank 0 1 1 cpu\n")
    assert "rank 1" not in out
    assert (logs / "rank0.log").read_text() == "rank 0 1 1 cpu\n"
    assert (logs / "rank2.log").read_text() == "rank 2 1 1 cpu\n"
    rows = table(out)
    assert [row[0] for row in rows] == [0, 1, 2]
    assert [row[2] for row in rows] == pytest.approx([4, 2, 1], rel=1e-3)
    # Other programs on the same cores can only make it less.
    assert all(0.1 * row[2] < row[3] < 1.3 * row[2] for row in rows)


def test_a_slowdown_is_in_force_between_its_steps(tmp_path, capfd):
    # Slow to a tenth for half of the steps.
    slowdowns = [Slowdown(1, 5, 10, 40), Slowdown(1, 2, 10, 40), Slowdown(0, 2, 1000)]
    launch_stand_in(tmp_path, "1:1", steps=60, slowdowns=slowdowns)
    rows = table(capfd.readouterr().out)
    assert rows[0][2] == 1
    assert 0.1 < rows[1][2] < 0.9  # a mean over time, which steps of a busy machine fill unevenly
    assert rows[1][3] < 1.3 * rows[1][2]


def test_a_bar_counts_the_steps(tmp_path, monkeypatch):
    bars = []

    class Bar:
        write = staticmethod(print)

        def __init__(self, **options):
            self.options, self.count, self.closed = options, 0, False
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            self.closed = True

        def update(self):
            self.count += 1

    monkeypatch.setattr(monitor, "tqdm", Bar)
    launch_stand_in(tmp_path, "1", steps=4)
    (bar,) = bars
    assert (bar.options["total"], bar.count, bar.closed) == (4, 4, True)
    assert bar.options["disable"] is None  # on a terminal only


def test_a_failure_names_the_rank_and_keeps_the_temporary_logs(tmp_path, capfd):
    with pytest.raises(WorkerError, match="rank 1 ended") as caught:
        launch_stand_in(tmp_path, "1:1", steps=4, failing=1)
    assert str(caught.value).endswith("rank 1 1 1 cpu\nrank 1 has a bad day")
    out, err = capfd.readouterr()
    assert "rank 0 1 1 cpu" in out
    folder = Path(re.fullmatch("The logs of all processes are in (.+)\n", err)[1])
    assert {path.name for path in folder.iterdir()} == {"rank0.log", "rank1.log"}
    shutil.rmtree(folder)


def test_temporary_logs_are_removed_after_success(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    launch_stand_in(tmp_path, "1", steps=1)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_processes_that_took_no_step_were_not_slowed(tmp_path, capsys):
    launch_stand_in(tmp_path, "1:1", steps=0, log_dir=str(tmp_path / "logs"))
    assert "no process was slowed" in capsys.readouterr().out


def test_logs_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"`log_dir`=.*file/logs"):
        launch_stand_in(tmp_path, "1", steps=1, log_dir=str(tmp_path / "file" / "logs"))


def test_a_device_of_speed_0_is_refused(tmp_path):
    with pytest.raises(InputError, match="speed 0 cannot be placed"):
        launch_stand_in(tmp_path, "1:0", steps=1)


LAUNCHER = """
import sys
from pathlib import Path
from hsi_jax.commands import launch as program
from hsi_jax.launch import launching
from hsi_jax.hetero.profile import parse_profile
def command(run_flags, coordinator, num_processes, process_id):
    print('started', process_id, flush=True)
    return (sys.executable, '-S', '-c', {program!r}, {workdir!r}, str(process_id), '2000')
asked = launching.Launch(parse_profile('3:1:1:1'), (), Path({workdir!r}), (), {logs!r})
program.parse = lambda argv: asked
program.launch = lambda asked: launching.launch(asked, command)
program.main([])
"""


@pytest.fixture
def running(tmp_path):
    """A launcher whose processes are being throttled, as a process of its own, and they."""
    workdir, logs = str(tmp_path / "run"), str(tmp_path / "logs")
    program = LAUNCHER.format(program=STAND_IN, workdir=workdir, logs=logs)
    command = [sys.executable, "-c", program]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **options) as program:
        deadline = time.monotonic() + 30
        while not (tmp_path / "run" / "metrics.jsonl").exists():
            assert time.monotonic() < deadline
            assert program.poll() is None
            time.sleep(0.05)
        time.sleep(1.0)  # until the throttle has begun, also on a busy machine
        children = psutil.Process(program.pid).children()
        assert len(children) == 4
        yield program, children
        program.kill()


def are_gone(processes):
    return all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes)


def test_ctrl_c_lets_the_run_finish(running):
    program, children = running
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=30)
    assert program.returncode == 0
    assert "Ctrl-C: waiting up to 60 s" in err
    assert "rank 0 1 1 cpu\nfinished early\n" in out
    assert len(table(out)) == 4
    assert are_gone(children)


def test_the_launchers_death_leaves_no_process(running):
    program, children = running
    program.kill()
    program.wait()
    deadline = time.monotonic() + 10
    while not are_gone(children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("one\ntwo"), 2, "error: one two\n"),
        (KeyboardInterrupt(), 130, "error: interrupted before the run was finished\n"),
    ],
)
def test_errors_are_one_line_and_a_code(error, code, message, monkeypatch, capsys):
    def fails(argv):
        raise error

    monkeypatch.setattr(program, "parse", fails)
    with pytest.raises(SystemExit) as stopped:
        program.main([])
    assert stopped.value.code == code
    assert capsys.readouterr().err == message


def test_a_failed_worker_is_exit_code_1_with_its_log(tmp_path, monkeypatch, capsys):
    log = tmp_path / "log"
    log.write_text("a\nb\n")

    def fails(argv):
        raise WorkerError(3, -9, log)

    monkeypatch.setattr(program, "parse", fails)
    with pytest.raises(SystemExit) as stopped:
        program.main([])
    assert stopped.value.code == 1
    expected = f"error: rank 3 was killed by SIGKILL; the end of its log {log}:\na\nb\n"
    assert capsys.readouterr().err == expected


def test_a_command_line_becomes_arguments():
    own = ["launch", "--profile=doubling", "--slowdown=1:3:5", "--slowdown=0:1.5:5:7"]
    theirs = ["--model=mlp", "--workdir=runs/a b", "--profile=1:1:1:1"]
    assert parse([*own, "--log_dir=logs", "--", *theirs]) == Launch(
        profile=parse_profile("doubling"),
        run_flags=tuple(theirs),
        workdir=Path("runs/a b"),
        slowdowns=(Slowdown(1, 3.0, 5, math.inf), Slowdown(0, 1.5, 5, 7)),
        log_dir="logs",
        restarts=Restarts(),
    )


def test_a_folder_is_made_where_none_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = parse(["launch", "--profile", "2:1", "--", "--model=mlp"])
    assert re.fullmatch(r"runs/synthetic-mlp-\d{8}-\d{6}", str(asked.workdir))
    assert asked.run_flags == ("--model=mlp", f"--workdir={asked.workdir}")
    assert asked.workdir.is_dir()


def test_the_run_may_have_no_flags_and_may_measure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (flag,) = parse(["launch", "--profile=2:1"]).run_flags
    assert flag.startswith("--workdir=runs/synthetic-cnn2d-")
    parse(["launch", "--profile=2:1", "--", "--profile=measured", "--scheme=adaptive"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`profile` is missing"),
        (["--profile=fast"], "fast: give speeds"),
        (["--profile=2:1", "--slowdown=2:3:5"], "no rank 2; give 0 to 1"),
        (["--profile=2:1", "--", "--process_id=0"], "`process_id` after --"),
        (["--profile=2:1", "--", "--num_processes=2"], "`num_processes` after --"),
        (["--profile=2:1", "--", "--coordinator=a:1"], "`coordinator` after --"),
        (["--profile=2:1", "--", "--dataset=nope"], "`dataset`=nope: choose one of"),
    ],
)
def test_a_mistake_is_found_before_anything_starts(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        parse(["launch", *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nosuchflag=1"], "nosuchflag'; the flags of experiments.run go after --"),
        (["--profile=2:1", "--steps=5"], "the flags of experiments.run go after --"),
        (["--profile=2:1", "steps"], "'steps' is not a flag"),
        (["--profile=2:1", "--", "--nosuchflag=1"], "nosuchflag"),
    ],
)
def test_an_unknown_flag_is_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(["launch", *arguments])
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert re.fullmatch(f"error: .*{re.escape(message)}.*\n", captured.err)
    assert captured.out == ""


@pytest.mark.parametrize(
    ("own", "theirs", "expected"),
    [
        (["--elastic"], [], "mpirun"),
        (["--elastic"], ["--scheme=even"], "mpirun"),  # the others finish its work
        (["--elastic", "--max_restarts=1"], ["--engine=jax"], None),
        (["--elastic", "--max_restarts=1"], ["--reduce=device"], None),
        ([], [], None),
        ([], ["--engine=mpi"], "mpirun"),
    ],
)
def test_the_elastic_are_started_by_mpirun_where_it_is_there(monkeypatch, own, theirs, expected):
    monkeypatch.setattr(program, "find_mpirun", lambda: "mpirun")
    arguments = ["launch", "--profile=2:1", *own, "--", "--workdir=a", *theirs]
    assert parse(arguments).mpirun == expected


@pytest.mark.parametrize(
    ("own", "theirs", "message"),
    [
        (["--elastic"], [], "`elastic` needs `max_restarts`, or, to do without one, Open MPI 5"),
        ([], ["--engine=mpi"], "`engine`=mpi needs Open MPI 5"),
        (["--elastic", "--max_restarts=1"], ["--scheme=even"], "choose one of balanced"),
    ],
)
def test_what_needs_mpirun_says_so(monkeypatch, own, theirs, message):
    monkeypatch.setattr(program, "find_mpirun", lambda: None)
    with pytest.raises(InputError, match=message):
        parse(["launch", "--profile=2:1", *own, "--", "--workdir=a", *theirs])


def test_the_help_tells_each_flag(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(["launch", "--nosuchflag", "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert text == launch_help() + "\n"
    assert re.findall(r"^  --(\w+) ", text, flags=re.MULTILINE) == [
        "profile",
        "slowdown",
        "log_dir",
        "max_restarts",
        "elastic",
    ]
    assert max(map(len, text.splitlines())) <= 100


def test_a_process_is_told_its_place():
    command = run_command(["--model=mlp"], "127.0.0.1:99", 3, 2)
    assert command[:3] == (sys.executable, "-m", "hsi_jax")
    assert command[3:] == (
        "run",
        "--model=mlp",
        "--coordinator=127.0.0.1:99",
        "--num_processes=3",
        "--process_id=2",
    )
