"""The command line of the simulation; its maths is tested in tests/hetero/test_simulation.py."""

import csv
import json

import pytest

from hsi_jax.commands import simulate
from hsi_jax.hetero.profile import parse_profile
from hsi_jax.hetero.simulation import Network, in_seconds, model_step, repeat_devices
from hsi_jax.launch.workers import WorkerError
from hsi_jax.options import defaults
from hsi_jax.run.lock import locked
from hsi_jax.simulation.losses import Losses

BASE = ("--profile=4:1", "--unit_seconds=0.01", "--parameters=999")


def run(tmp_path, *flags):
    simulate.main(["simulate", *flags, f"--workdir={tmp_path / 'out'}"])
    with open(tmp_path / "out" / "modelled.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def error_of(capsys, *flags):
    with pytest.raises(SystemExit) as ended:
        simulate.main(["simulate", *flags])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_strong_scaling_keeps_the_batch_and_writes_all_clusters(tmp_path, capsys):
    flags = ("--devices=5,2", "--ratios=1,3", "--slow_fractions=0.5,0.2,0.4", "--batch_size=96")
    rows = run(tmp_path, *BASE, *flags, "--microbatch_size=8")
    assert len(rows) == 2 + 2 * 3 * 2
    assert {row["batch_size"] for row in rows} == {"96"}
    assert {row["microbatches"] for row in rows} == {"12"}
    assert [row["devices"] for row in rows[:2]] == ["2", "5"]
    profile = repeat_devices(in_seconds(parse_profile("4:1"), 0.01), 5)
    expected = model_step(profile, 12, 8, size=4000, network=Network(50e-6, 1.25e9))
    for name in ("all_reduce_seconds", "balanced_step_seconds", "gain", "even_utilisation"):
        assert float(rows[1][f"modelled_{name}"]) == getattr(expected, f"modelled_{name}")
    for row in rows[2:]:
        assert (row["machine"], row["speed_ratio"] in ("1.0", "3.0")) == ("two kinds", True)
        if row["speed_ratio"] == "1.0" and row["devices"] == "2":
            assert float(row["modelled_gain"]) == 1
    text = capsys.readouterr().out
    assert "All figures are modelled, none is measured." in text
    assert f"{expected.modelled_gain:.3f}" in text
    assert (tmp_path / "out" / "modelled.png").stat().st_size > 10_000


def test_lost_devices_are_modelled_where_asked_for(tmp_path, capsys):
    flags = ("--devices=16,4096", "--losses_per_device_day=0.05", "--restart_seconds=60")
    rows = run(tmp_path, *BASE, "--ratios=2", "--slow_fractions=0.5", *flags)
    losses = Losses(losses_per_device_day=0.05, restart_seconds=60)
    for row in rows[:2]:
        devices = int(row["devices"])
        finishing, restarting = (
            float(row[f"modelled_goodput_{way}"]) for way in ("finishing", "restarting")
        )
        assert finishing == losses.goodput_finishing(devices)
        assert restarting == losses.goodput_restarting(devices)
    assert f"{restarting:.2%}" in capsys.readouterr().out
    assert (tmp_path / "out" / "modelled_goodput.png").stat().st_size > 10_000


def test_pictures_are_written_in_the_formats_asked_for(tmp_path, capsys):
    assert "--figures=gif" in error_of(capsys, *BASE, "--figures=gif")
    run(tmp_path, *BASE, "--devices=2", "--figures=pdf,svg")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"modelled.csv", "modelled.pdf", "modelled.svg"}
    assert (tmp_path / "out" / "modelled.pdf").read_bytes().startswith(b"%PDF")


def test_weak_scaling_grows_the_batch(tmp_path):
    rows = run(tmp_path, *BASE, "--scaling=weak", "--devices=2,8,3000", "--batch_per_device=64")
    assert [row["batch_size"] for row in rows[:3]] == ["128", "512", "192000"]
    gains = [float(row["modelled_gain"]) for row in rows[:3]]
    assert gains == sorted(gains, reverse=True)  # more of the same time is communication


def test_a_measured_profile_needs_no_unit(tmp_path, capsys):
    path = tmp_path / "profile.json"
    devices = [{"speed": 100, "fixed_cost": 0.001}, {"speed": 50, "memory_cap": 32}]
    path.write_text(json.dumps({"time_unit": "s", "devices": devices}))
    flags = (f"--profile={path}", "--parameters=10", "--devices=2,4", "--batch_size=160")
    rows = run(tmp_path, *flags)
    assert rows[0]["modelled_even_step_seconds"] == "nan"  # five microbatches of 16 exceed the cap
    assert float(rows[0]["modelled_balanced_step_seconds"]) > 0.081
    capsys.readouterr()
    assert "--unit_seconds: the profile is in seconds" in error_of(
        capsys, *flags, "--unit_seconds=1"
    )


@pytest.mark.parametrize(
    ("flags", "names_it"),
    [
        ((), "--profile is missing"),
        (("--profile=2:1",), "--parameters is missing"),
        (("--profile=2:1", "--parameters=9"), "say how many seconds that is by --unit_seconds"),
        (("--profile=2:x", "--parameters=9", "--unit_seconds=1"), "2:x: give speeds"),
        ((*BASE, "--unit_seconds=0"), "--unit_seconds=0"),
        ((*BASE, "--unit_seconds=nan"), "--unit_seconds=nan"),
        ((*BASE, "--parameters=0"), "--parameters=0"),
        ((*BASE, "--parameters=many"), "--parameters"),
        ((*BASE, "--devices=0,2"), "--devices: 0 is not possible; give 1 to 100000"),
        ((*BASE, "--devices=2;4"), "--devices=2;4: give numbers between commas"),
        ((*BASE, "--devices=1000000000"), "--devices: 1e+09 is not possible"),
        ((*BASE, "--ratios=0.5"), "--ratios: 0.5 is not possible"),
        ((*BASE, "--slow_fractions=nan"), "--slow_fractions: nan is not possible"),
        ((*BASE, "--bandwidth_gbps=0"), "--bandwidth_gbps=0"),
        ((*BASE, "--latency_us=-1"), "--latency_us=-1"),
        ((*BASE, "--batch_size=0"), "--batch_size=0"),
        ((*BASE, "--batch_per_device=8"), "--batch_per_device does not go with --scaling=strong"),
        ((*BASE, "--scaling=weak", "--batch_size=8"), "--batch_size does not go with"),
        ((*BASE, "--all_reduce=tree"), "--all_reduce=tree"),
        ((*BASE, "--speed=1"), "speed"),
        ((*BASE, "more"), "'more' is not a flag"),
        ((*BASE, "--workdir=/dev/null/x"), "--workdir=/dev/null/x cannot be written"),
    ],
)
def test_a_mistake_is_one_line(flags, names_it, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert names_it in error_of(capsys, *flags)
    assert not any(tmp_path.iterdir())


def test_results_are_not_overwritten(tmp_path, capsys):
    (tmp_path / "modelled.png").write_text("mine")
    message = error_of(capsys, *BASE, f"--workdir={tmp_path}")
    assert "already holds modelled.png; choose another folder" in message
    assert (tmp_path / "modelled.png").read_text() == "mine"


def test_a_folder_that_another_process_has_is_refused(tmp_path, capsys):
    with locked(tmp_path / "out"):
        message = error_of(capsys, *BASE, f"--workdir={tmp_path / 'out'}")
        assert "--workdir=" in message
        assert "in use" in message
    assert run(tmp_path, *BASE)
    assert not (tmp_path / "out" / ".lock").exists()


def test_caps_that_hold_too_little_leave_no_folder(tmp_path, capsys):
    path = tmp_path / "profile.json"
    path.write_text('{"time_unit": "s", "devices": [{"speed": 1, "memory_cap": 16}]}')
    flags = (f"--profile={path}", "--parameters=9", f"--workdir={tmp_path / 'out'}")
    assert "raise the caps" in error_of(capsys, *flags)
    assert not (tmp_path / "out").exists()


def test_help_teaches_every_flag(capsys):
    with pytest.raises(SystemExit) as ended:
        simulate.main(["simulate", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in defaults(simulate.SimulateOptions):
        assert f"--{name} " in text
    assert "Nothing is trained." in text


def test_the_check_takes_no_other_flag(capsys, monkeypatch):
    called = []
    monkeypatch.setattr(simulate.simulation_check, "check", lambda: called.append(True))
    simulate.main(["simulate", "--check"])
    assert called == [True]
    message = error_of(capsys, "--check", "--devices=4")
    assert "--devices does not go with --check" in message
    assert len(called) == 1


def test_a_process_of_the_check_that_fails_is_told(capsys, monkeypatch, tmp_path):
    (tmp_path / "rank1.log").write_text("out of memory")

    def check():
        raise WorkerError(1, 3, tmp_path / "rank1.log")

    monkeypatch.setattr(simulate.simulation_check, "check", check)
    with pytest.raises(SystemExit) as ended:
        simulate.main(["simulate", "--check"])
    assert ended.value.code == 1
    assert "out of memory" in capsys.readouterr().err
