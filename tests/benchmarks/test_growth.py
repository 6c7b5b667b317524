"""The benchmark of growth, on sizes that take no time."""

import sys

import pytest

from benchmarks import growth


@pytest.mark.long
@pytest.mark.slow
def test_it_prints_all_parts_and_draws_them(monkeypatch, capsys, tmp_path):
    small = {"SAMPLES": (100, 1000), "DEVICES": (1, 2, 8), "EMULATED": 2, "MICROBATCHES": (1, 2)}
    for name, value in (small | {"CALLS": 2, "MICROBATCH_SIZE": 2, "PATCH_SIZE": 5}).items():
        monkeypatch.setattr(growth, name, value)
    monkeypatch.setattr(sys, "argv", ["growth", "--repeats=1", f"--figure={tmp_path / 'g.png'}"])
    growth.main()
    host, steps = capsys.readouterr().out.split("Step of cnn2d")
    rows = [line.split() for line in host.splitlines()]
    assert [row[0] for row in rows if len(row) == 2 and row[0][0] == "1"] == ["100", "1,000"]
    parts = {row[0]: row for row in rows if len(row) == 4 and row[0].isdigit()}
    assert set(parts) == {"1", "2", "8"}
    assert (parts["2"][2] != "-", parts["8"][2]) == (True, "-")  # tests have four devices
    times = [line.split() for line in steps.splitlines()[3:]]
    assert [row[0] for row in times] == ["1", "2"]
    assert all(float(time) > 0 for row in times for time in row[1:])
    assert (tmp_path / "g.png").stat().st_size > 1000
