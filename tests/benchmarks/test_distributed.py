"""The parts of the benchmark that start no process."""

import os
import sys

import numpy as np
import pytest

from benchmarks import distributed
from hsi_jax.comparison.peer import PEERS, PROGRAMS, find_version
from hsi_jax.hetero.profile import parse_profile
from hsi_jax.simulation import cluster_step

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uneven processes need Linux")

ROUNDS = [
    {
        "ideal": 100.0,
        "balanced": 110.0,
        "measured": 105.0,
        "even": 165.0,
        "timed": 121.0,
        "allowed gain": 1.6,
    },
    {
        "ideal": 100.0,
        "balanced": 120.0,
        "measured": 110.0,
        "even": 150.0,
        "timed": 126.0,
        "allowed gain": 1.4,
    },
    {
        "ideal": 90.0,
        "balanced": 108.0,
        "measured": 99.0,
        "even": 162.0,
        "timed": 108.0,
        "allowed gain": 1.5,
    },
]
DDP = [
    {"DDP even": 132.0, "DDP proportional": 99.0},
    {"DDP even": 132.0, "DDP proportional": 96.0},
    {"DDP even": 135.0, "DDP proportional": 108.0},
]


@pytest.fixture
def three_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})


def rows(table: str) -> dict[str, list[str]]:
    """The cells of each line by its name."""
    return {line[:28].strip(): line[28:].split() for line in table.splitlines()}


def rounds_with_ddp():
    parts = {"own work": 80.0, "sum and update": 20.0}
    return [ours | parts | theirs for ours, theirs in zip(ROUNDS, DDP, strict=True)]


def test_the_table_has_each_repeat_and_its_median():
    table = rows(distributed.format_times(rounds_with_ddp()))
    assert table["ideal"] == ["100.0", "100.0", "90.0", "100.0"]
    assert table["DDP proportional"] == ["99.0", "96.0", "108.0", "99.0"]
    assert table["own work"] == ["80.0"] * 4


def test_the_median_of_ratios_is_taken_over_repeats():
    table = rows(distributed.format_ratios(rounds_with_ddp()))
    assert table["balanced / ideal"] == ["1.100", "1.200", "1.200", "1.200"]
    assert table["measured / ideal"] == ["1.050", "1.100", "1.100", "1.100"]
    assert table["even / balanced"] == ["1.500", "1.250", "1.500", "1.500"]
    assert table["timed / balanced"] == ["1.100", "1.050", "1.000", "1.050"]
    assert table["DDP even / balanced"] == ["1.200", "1.100", "1.250", "1.200"]
    assert table["DDP proportional / balanced"] == ["0.900", "0.800", "1.000", "0.900"]
    assert table["allowed gain"] == ["1.600", "1.400", "1.500", "1.500"]


def test_without_a_peer_the_table_says_so():
    times = rows(distributed.format_times(rounds_with_ddp()))
    assert times["Horovod even"] == times["Horovod proportional"] == ["not", "measured"]
    ratios = rows(distributed.format_ratios(ROUNDS))
    assert ratios["DDP even / balanced"] == ["not", "measured"]
    assert ratios["even / balanced"][-1] == "1.500"


@pytest.mark.parametrize(
    ("profile", "size", "balanced"),
    [
        ("2:1:1", 16, (96, 48, 48)),
        ("2:1:1", 8, (96, 48, 48)),
        ("1:1", 16, (96, 96)),
        ("8:4:2:1:1", 4, (96, 48, 24, 12, 12)),
    ],
)
def test_the_batch_is_divided_by_the_speeds(profile, size, balanced):
    plans = distributed.make_plans(parse_profile(profile), 192, size)
    assert plans["balanced"].counts == balanced
    assert sum(plans["even"].counts) == 192
    assert max(plans["even"].shares) - min(plans["even"].shares) <= 1


def test_both_sides_get_the_same_samples():
    plans = distributed.make_plans(parse_profile("2:1:1"), 192, 16)
    ours = distributed.our_command(2, 4567, plans, 30)
    assert ours[-3:] == ("--shares", "6,3,3", "4,4,4")
    assert {"--coordinator=localhost:4567", "--process_id=2", "--num_processes=3"} <= set(ours)
    for name, script in {
        "ddp_proportional": "ddp_rank.py",
        "horovod_proportional": "horovod_rank.py",
    }.items():
        theirs = distributed.peer_commands(PEERS[name], plans["balanced"], 30, "/other/python")
        assert [command[0] for command in theirs] == ["/other/python"] * 3
        assert [command[1] for command in theirs] == [str(PROGRAMS / script)] * 3
        assert [command[2] for command in theirs] == ["--rank=0", "--rank=1", "--rank=2"]
        assert {"--world=3", "--counts=96,48,48", "--steps=30"} <= set(theirs[2])
        (port,) = {command[4] for command in theirs}
        assert port.startswith("--port=")


@pytest.mark.parametrize("shares", ["6,3,3", "4,4,4", "1", "11,1,7,5"])
def test_a_process_of_ours_takes_the_shares_it_is_told(shares):
    plan = cluster_step.make_shares(shares, 16)
    assert ",".join(map(str, plan.shares)) == shares
    assert plan.batch_size == 16 * sum(plan.shares)


def test_measured_throughputs_divide_the_same_batch():
    plan = cluster_step.plan_by_speed([2.8, 1.0, 1.0], cluster_step.make_shares("12,6,6", 8))
    assert (plan.batch_size, plan.shares) == (192, (14, 5, 5))


def test_the_profile_is_placed_on_cores(three_cores):
    flags = distributed.parse_arguments(["--profile=4:2:2:1"])
    assert flags.profile.speeds == (4, 2, 2, 1)
    assert [place.core for place in flags.placements] == [0, 1, 1, 2]
    assert [place.fraction for place in flags.placements] == [1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    "flag",
    [
        "--profile=fast",
        "--profile=1:0",
        "--repeats=0",
        "--microbatch_size=10",
        "--torch_python=/no/such/python",
    ],
)
def test_bad_flags_are_refused(flag, three_cores, capsys):
    with pytest.raises(SystemExit):
        distributed.parse_arguments([flag])
    assert flag in capsys.readouterr().err


def test_a_module_that_is_not_there_has_no_version():
    assert find_version(sys.executable, "no_such_module") is None
    assert find_version(sys.executable, "numpy") == np.__version__
