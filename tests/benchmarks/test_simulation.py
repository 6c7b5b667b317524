"""The flags of the benchmark; the check itself is tested in tests/experiments."""

import sys

import pytest

from benchmarks import simulation


def test_the_flags_reach_the_check(monkeypatch):
    checked = []
    monkeypatch.setattr(simulation, "check", lambda *numbers: checked.append(numbers))
    monkeypatch.setattr(sys, "argv", ["simulation", "--repeats=2"])
    simulation.main()
    assert checked == [(2, 30)]


@pytest.mark.parametrize("flag", ["--repeats=0", "--steps=-1"])
def test_a_number_below_one_is_refused(flag, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["simulation", flag])
    with pytest.raises(SystemExit):
        simulation.main()
    assert f"{flag}: give a whole number >= 1" in capsys.readouterr().err
