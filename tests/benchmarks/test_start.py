"""The benchmark of the start; that it starts quickly is measured, not tested."""

import subprocess
import sys

import pytest

from benchmarks import start


@pytest.mark.slow
def test_all_ways_are_timed_in_turn(monkeypatch, capsys, tmp_path):
    asked = []

    def time_first_step(workdir, caches, kept):
        asked.append((caches.name, kept))
        return float(len(asked))

    monkeypatch.setattr(start, "time_first_step", time_first_step)
    monkeypatch.setattr(start, "COMMANDS", ("models",))
    monkeypatch.setattr(sys, "argv", ["start", "--repeats=2"])
    start.main()
    once = ["false", "true", "true"]
    assert asked == [("caches0", kept) for kept in once] + [("caches1", kept) for kept in once]
    out = capsys.readouterr().out
    assert "models --help" in out
    assert "later start       4.50 (3.00 to 6.00)" in out


def test_a_run_that_fails_is_no_time(monkeypatch, tmp_path):
    real = subprocess.Popen
    fails = [sys.executable, "-c", "raise SystemExit(2)"]
    monkeypatch.setattr(start.subprocess, "Popen", lambda command, **options: real(fails))
    with pytest.raises(RuntimeError, match="code 2"):
        start.time_first_step(tmp_path / "run", tmp_path, "true")
