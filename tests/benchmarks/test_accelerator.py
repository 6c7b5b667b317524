"""The parts on a CPU, at small sizes: what fails is told, and what is cut off costs no other."""

import json
import sys

import pytest

from benchmarks import accelerator
from benchmarks.accelerator import Bench, attempt, parse_arguments


@pytest.fixture
def bench(tmp_path):
    return Bench(parse_arguments(["--platform=cpu", "--steps=4", "--minutes=8"]), tmp_path)


def test_a_part_that_fails_or_is_too_slow_is_told(bench):
    failing = [sys.executable, "-c", "raise SystemExit('no such device')"]
    assert "no such device" in attempt(lambda: bench.run([failing], 0.5))["failed"]
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert "failed" in attempt(lambda: bench.run([slow], 0.001))
    assert bench.run([[sys.executable, "-c", "print(5)"]], 0.5) == ["5\n"]


def test_unknown_parts_are_refused(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--parts=bits,heat"])
    assert "--parts=bits,heat" in capsys.readouterr().err


@pytest.mark.long
def test_all_parts_answer_on_a_cpu(tmp_path, monkeypatch, capsys):
    report = tmp_path / "report.json"
    flags = ["--platform=cpu", "--steps=4", "--minutes=20", "--networks=cnn1d"]
    monkeypatch.setattr(sys, "argv", ["accelerator", *flags, f"--json={report}"])
    accelerator.main()
    found = json.loads(report.read_text())
    assert list(found) == ["machine", *accelerator.PARTS]
    assert (found["bits"]["steps"], found["bits"]["equal digests"]) == (4, 4)
    assert "equal to the replay" in found["bits"]["replay"]
    assert found["bits"]["loop_over_flat_time"] > 0
    assert found["steps"]["cnn1d float32"]["best_microbatch"] > 0
    assert found["mixed"]["both"]["reduce"] == "host"
    assert found["rounding"]["largest difference of losses"] == 0
    assert "no --data_dir" in found["eurosat"]["failed"]
