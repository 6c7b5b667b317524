import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hsi_jax.errors import InputError, LostWorkerError
from hsi_jax.launch import workers
from hsi_jax.launch.workers import (
    Terminated,
    Worker,
    WorkerError,
    Workers,
    available_cores,
    free_port,
    terminable,
)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
    pytest.mark.slow,
]

PATIENCE = 60  # seconds that anything here may take on a busy machine

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
IGNORE_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
# Writes its result when interrupted, as a run does.
FINISH = """
import time
try:
    print('ready', flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep(0.3)
    print('finished')
"""
WITH_CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print('child', child.pid, flush=True)
{SLEEP}
"""


@pytest.fixture
def worker(tmp_path):
    """Makes a worker of a Python program; logs are rank0.log, rank1.log, ..."""
    logs = (tmp_path / f"rank{rank}.log" for rank in range(100))

    def make(program, core=None, **environment):
        return Worker((sys.executable, "-S", "-c", program), environment, core, next(logs))

    return make


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def wait_for(log):
    # The whole line: where output is not buffered, its end is written after its text.
    wait_until(lambda: log.exists() and "ready\n" in log.read_text())


def press(*conditions, number=signal.SIGINT):
    """A watch that presses Ctrl-C, or sends another signal, once each condition holds in turn."""
    left = list(conditions) or [lambda: True]

    def watch():
        if left and left[0]():
            left.pop(0)
            os.kill(os.getpid(), number)

    return watch


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_workers_that_end_well(worker, tmp_path):
    seen, end = [], tmp_path / "end"
    program = "import sys, os; print(os.environ['GREETING']); print('to stderr', file=sys.stderr)"
    until = f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.02)"

    def watch():
        seen.append(1)
        if len(seen) > 2:
            end.touch()

    with Workers([worker(program, GREETING="hello"), worker(until)]) as two:
        assert [process.is_running() for process in two.processes] == [True, True]
        two.wait(watch)
        assert two.poll()
    assert len(seen) > 2
    assert sorted((tmp_path / "rank0.log").read_text().split("\n")) == ["", "hello", "to stderr"]


def test_each_is_pinned_from_its_start_and_leads_a_session(worker, tmp_path):
    core = available_cores()[-1]
    program = "import os; print(os.sched_getaffinity(0), os.getsid(0) == os.getpid())"
    with Workers([worker(program, core), worker(program)]) as two:
        two.wait()
    everywhere = set(available_cores())
    for rank, cores in enumerate(({core}, everywhere)):
        assert (tmp_path / f"rank{rank}.log").read_text() == f"{cores} True\n"


def test_a_failure_names_the_rank_its_exit_code_and_the_end_of_its_log(worker, tmp_path):
    program = "import sys; [print('line', i) for i in range(100)]; sys.exit(7)"
    with pytest.raises(WorkerError) as caught, Workers([worker(SLEEP), worker(program)]) as two:
        two.wait()
    assert (caught.value.rank, caught.value.exit_code) == (1, 7)
    assert isinstance(caught.value, LostWorkerError)
    assert not isinstance(caught.value, InputError)  # it is no mistake in the input
    head, *tail = str(caught.value).splitlines()
    log = tmp_path / "rank1.log"
    assert head == f"rank 1 ended with exit code 7; the end of its log {log}:"
    assert tail == [f"line {i}" for i in range(85, 100)]
    assert all(is_gone(process) for process in two.processes)


def test_a_long_line_and_an_empty_log_do_no_harm(worker):
    program = "print('x' * 10**6, flush=True); 1 / 0"
    with pytest.raises(WorkerError) as caught, Workers([worker(program)]) as one:
        one.wait()
    assert len(str(caught.value)) < 20_000
    assert str(caught.value).endswith("ZeroDivisionError: division by zero")
    with pytest.raises(WorkerError, match=r"3; .*:\n\(empty\)"):  # noqa: SIM117
        with Workers([worker("raise SystemExit(3)")]) as one:
            one.wait()


def test_a_command_that_does_not_exist_is_named(tmp_path):
    bad = Worker(("/no/such/program",), {}, None, tmp_path / "log")
    with pytest.raises(WorkerError, match=r"/no/such/program cannot be started"):  # noqa: SIM117
        with Workers([bad]) as one:
            one.wait()


def test_a_worker_killed_from_outside_is_named_with_the_signal(worker):
    with Workers([worker(SLEEP), worker(SLEEP)]) as two:
        two.processes[1].kill()
        with pytest.raises(WorkerError, match="rank 1 was killed by SIGKILL"):
            two.wait()
    assert all(is_gone(process) for process in two.processes)


def test_neither_suspended_nor_stubborn_workers_are_left(worker, tmp_path):
    with Workers([worker(SLEEP), worker(SLEEP), worker(IGNORE_SIGTERM)]) as three:
        for rank in range(3):
            wait_for(tmp_path / f"rank{rank}.log")
        three.processes[0].suspend()
        start = time.monotonic()
    assert all(is_gone(process) for process in three.processes)
    assert 2 < time.monotonic() - start < PATIENCE


def test_a_suspended_worker_may_end_by_itself(worker, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE_SECONDS", PATIENCE)
    program = (
        f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit('bye')); {SLEEP}"
    )
    with Workers([worker(program)]) as one:
        wait_for(tmp_path / "rank0.log")
        one.processes[0].suspend()
    assert (tmp_path / "rank0.log").read_text() == "ready\nbye\n"


@pytest.mark.parametrize("ending", ["time.sleep(600)", "raise SystemExit(0)"])
def test_what_a_worker_has_started_is_ended_too(worker, tmp_path, ending):
    log = tmp_path / "rank0.log"
    with Workers([worker(WITH_CHILD.replace("time.sleep(600)\n", f"{ending}\n"))]):
        wait_for(log)
        (pid,) = re.findall(r"child (\d+)", log.read_text())
        child = psutil.Process(int(pid))
    wait_until(lambda: is_gone(child))


def test_an_error_of_the_callers_ends_them(worker):
    with pytest.raises(ZeroDivisionError), Workers([worker(SLEEP)]) as one:
        _ = 1 / 0
    assert is_gone(one.processes[0])


def test_a_failure_to_start_one_ends_the_others(worker, tmp_path):
    here = psutil.Process()
    before = set(here.children())
    bad = Worker(("true",), {}, None, tmp_path / "no folder" / "log")
    with pytest.raises(FileNotFoundError, match="no folder"), Workers([worker(SLEEP), bad]):
        pass
    assert set(here.children()) == before


def test_ctrl_c_lets_workers_finish(worker, tmp_path):
    with Workers([worker(FINISH), worker(FINISH)]) as two:
        for rank in range(2):
            wait_for(tmp_path / f"rank{rank}.log")
        two.wait(press())
    for rank in range(2):
        assert (tmp_path / f"rank{rank}.log").read_text() == "ready\nfinished\n"


def test_ctrl_c_with_workers_that_it_ends_is_ctrl_c(worker, tmp_path):
    with Workers([worker(SLEEP)]) as one:
        wait_for(tmp_path / "rank0.log")
        with pytest.raises(KeyboardInterrupt):
            one.wait(press())
    assert is_gone(one.processes[0])


# As a run does that was asked to stop; the first argument is how long it takes.
STOPPED = """
import signal, sys, time
def stop(number, frame):
    time.sleep({pause})
    print('finished', flush=True)
    sys.exit(128 + number)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print('ready', flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_all_workers_may_finish_before_a_signal_ends_the_wait(worker, tmp_path, number, raised):
    programs = [STOPPED.format(pause=pause) for pause in (0.8, 0)]
    with terminable(), Workers([worker(program) for program in programs]) as two:
        for rank in range(2):
            wait_for(tmp_path / f"rank{rank}.log")
        with pytest.raises(raised):
            two.wait(press(number=number))
    for rank in range(2):
        assert (tmp_path / f"rank{rank}.log").read_text() == "ready\nfinished\n"


def test_the_killed_is_named_before_those_that_fail_for_want_of_it(worker, tmp_path):
    programs = [
        "raise SystemExit(1)",
        "import os; os.abort()",
        "import os; os.kill(os.getpid(), 9)",
    ]
    with Workers([worker(program) for program in programs]) as three:
        wait_until(lambda: all(map(is_gone, three.processes)))
        with pytest.raises(WorkerError, match="rank 2 was killed by SIGKILL"):
            three.wait()


def test_a_failure_after_ctrl_c_is_named(worker, tmp_path):
    with Workers([worker(FINISH.replace("print('finished')", "1 / 0"))]) as one:
        wait_for(tmp_path / "rank0.log")
        with pytest.raises(WorkerError, match=r"rank 0 .* 1"):
            one.wait(press())


def test_ctrl_c_waits_no_longer_than_the_grace(worker, tmp_path):
    with Workers([worker(FINISH.replace("sleep(0.3)", "sleep(600)"))]) as one:
        wait_for(tmp_path / "rank0.log")
        with pytest.raises(KeyboardInterrupt):
            one.wait(press(), grace=0.5)
    assert is_gone(one.processes[0])


def test_a_second_ctrl_c_is_not_waited_for(worker, tmp_path):
    log = tmp_path / "rank0.log"
    asked = FINISH.replace("time.sleep(0.3)", "print('asked', flush=True); time.sleep(600)")
    with Workers([worker(asked)]) as one:
        wait_for(log)
        with pytest.raises(KeyboardInterrupt):
            one.wait(press(lambda: True, lambda: "asked" in log.read_text()), grace=600)
    assert is_gone(one.processes[0])


LAUNCHER = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores
from hsi_jax.launch.workers import Worker, Workers
log = Path(sys.argv[1])
workers = [Worker((sys.executable, '-S', '-c', {program!r}), {{}}, None, log / f'rank{{i}}.log')
           for i in range(3)]
with Workers(workers) as three:
    three.processes[1].suspend()
    print(*(p.pid for p in three.processes), flush=True)
    three.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_death_of_the_launcher_leaves_no_orphan(tmp_path, number):
    program = LAUNCHER.format(program=IGNORE_SIGTERM)
    command = [sys.executable, "-c", program, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        orphans = [psutil.Process(int(pid)) for pid in launcher.stdout.readline().split()]
        assert len(orphans) == 3
        launcher.send_signal(number)
        assert launcher.wait(PATIENCE) == -number
    wait_until(lambda: all(is_gone(process) for process in orphans))


def test_the_port_is_free():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_a_suspended_worker_is_named_not_those_that_fail_for_want_of_it(
    worker, monkeypatch, tmp_path, stopped
):
    monkeypatch.setattr(workers, "STUCK_SECONDS", 0.5)
    end = tmp_path / "end"
    program = f"""
import os, sys, time
print("ready", flush=True)
while not os.path.exists({str(end)!r}): time.sleep(0.02)
sys.exit(1)
"""
    with Workers([worker(program) for _ in range(3)]) as three:
        for rank in range(3):
            wait_for(tmp_path / f"rank{rank}.log")
        three.processes[stopped].suspend()
        since = time.monotonic()

        def watch():
            if time.monotonic() - since > 1:
                end.touch()

        with pytest.raises(WorkerError, match="suspended") as raised:
            three.wait(watch)
    assert raised.value.rank == stopped
