import sys

import pytest

from hsi_jax.launch import measured_processes
from hsi_jax.launch.measured_processes import describe_machine, run_measured
from hsi_jax.launch.placement import Placement
from hsi_jax.launch.workers import WorkerError, available_cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")

# Says that it is ready, waits until it is throttled, and prints what it has found.
PROGRAM = """
import json, os, sys, time
rank, throttled, wait = int(sys.argv[1]), sys.argv[2], len(sys.argv) > 3
found = {'rank': rank, 'before': os.path.exists(throttled), 'threads': os.environ['NPROC']}
print('compiling')
if wait:
    print('ready', flush=True)
    while not os.path.exists(throttled):
        time.sleep(0.02)
print(json.dumps(found))
print(json.dumps({'core': list(os.sched_getaffinity(0))}))
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Commands that wait for a fake throttle, whose begin is a file, and the throttle's facts."""
    facts: dict[str, object] = {"begun": False, "ended": False}

    class FakeThrottle:
        def __init__(self, processes, placements):
            facts["fractions"] = [placement.fraction for placement in placements]
            facts["processes"] = len(processes)

        def __enter__(self):
            facts["begun"] = True
            (tmp_path / "throttled").touch()

        def __exit__(self, *exception):
            facts["ended"] = True

    monkeypatch.setattr(measured_processes, "Throttle", FakeThrottle)

    def make(count, *flags):
        program = (sys.executable, "-S", "-c", PROGRAM)
        return [(*program, str(rank), str(tmp_path / "throttled"), *flags) for rank in range(count)]

    return make, facts


def test_processes_are_throttled_from_when_they_are_ready(commands):
    make, facts = commands
    core = available_cores()[-1]
    lines = run_measured([Placement(core, 0.75), Placement(core, 0.25)], make(2, "wait"))
    assert lines == [{"rank": 0, "before": False, "threads": "1"}, {"core": [core]}]
    assert facts == {"begun": True, "ended": True, "fractions": [0.75, 0.25], "processes": 2}


def test_without_the_word_they_are_not_throttled(commands):
    make, facts = commands
    line, _ = run_measured([Placement(available_cores()[0], 1.0)], make(1))
    assert not line["before"]
    assert (facts["begun"], facts["ended"]) == (False, False)


def test_a_process_that_fails_is_told():
    core = available_cores()[0]
    command = (sys.executable, "-S", "-c", "raise SystemExit('a bad day')")
    with pytest.raises(WorkerError, match="a bad day"):
        run_measured([Placement(core, 1.0)], [command])


def test_processes_that_never_end_are_ended(commands, monkeypatch):
    make, _ = commands
    monkeypatch.setattr(measured_processes, "MAX_SECONDS", 0.5)
    monkeypatch.setattr(measured_processes, "READY", "never printed")
    with pytest.raises(TimeoutError, match=r"0\.5 s"):
        run_measured([Placement(available_cores()[0], 1.0)], make(1, "wait"))


def test_the_machine_is_a_line():
    for pinned, words in ((True, "pinned to"), (False, "free to use")):
        line = describe_machine(pinned)
        assert f"{words} {available_cores()}" in line
        assert "JAX 0." in line
        assert "\n" not in line
