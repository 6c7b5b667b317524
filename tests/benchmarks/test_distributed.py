"""The parts of the benchmark that start no process."""

import os
import socket
import sys

import pytest

from benchmarks import cluster_step, distributed

ROUNDS = [
    {"ideal": 100.0, "balanced": 110.0, "even": 165.0, "DDP even": 132.0, "DDP proportional": 99.0},
    {"ideal": 100.0, "balanced": 120.0, "even": 150.0, "DDP even": 132.0, "DDP proportional": 96.0},
    {"ideal": 90.0, "balanced": 108.0, "even": 162.0, "DDP even": 135.0, "DDP proportional": 108.0},
]


@pytest.fixture
def three_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})


def rows(table: str) -> dict[str, list[str]]:
    """The cells of each line by its name."""
    return {line[:28].strip(): line[28:].split() for line in table.splitlines()}


def test_the_table_has_each_repeat_and_its_median():
    table = rows(distributed.format_times(ROUNDS))
    assert table["ideal"] == ["100.0", "100.0", "90.0", "100.0"]
    assert table["DDP proportional"] == ["99.0", "96.0", "108.0", "99.0"]
    assert table["Horovod even"] == ["not", "covered"]


def test_the_median_of_ratios_is_taken_over_repeats():
    table = rows(distributed.format_ratios(ROUNDS))
    assert table["balanced / ideal"] == ["1.100", "1.200", "1.200", "1.200"]
    assert table["even / balanced"] == ["1.500", "1.250", "1.500", "1.500"]
    assert table["DDP even / balanced"] == ["1.200", "1.100", "1.250", "1.200"]
    assert table["DDP proportional / balanced"] == ["0.900", "0.800", "1.000", "0.900"]


def test_without_torch_the_table_says_so():
    ours = [{name: times[name] for name in ("ideal", "balanced", "even")} for times in ROUNDS]
    times, ratios = rows(distributed.format_times(ours)), rows(distributed.format_ratios(ours))
    assert times["DDP even"] == times["DDP proportional"] == ["not", "installed"]
    assert times["even"] == ["165.0", "150.0", "162.0", "162.0"]
    assert ratios["DDP even / balanced"] == ["not", "installed"]
    assert ratios["even / balanced"][-1] == "1.500"


@pytest.mark.parametrize(
    ("cores", "size", "balanced"),
    [
        ([0, 1, 1], 16, (96, 48, 48)),
        ([0, 1, 1], 8, (96, 48, 48)),
        ([1, 0], 16, (96, 96)),
        ([0, 0, 1, 1, 2], 8, (32, 32, 32, 32, 64)),
    ],
)
def test_the_batch_is_divided_by_the_parts_of_cores(cores, size, balanced):
    plans = distributed.make_plans(cores, size)
    assert plans["balanced"].counts == balanced
    assert sum(plans["even"].counts) == 192
    assert max(plans["even"].shares) - min(plans["even"].shares) <= 1


def test_both_sides_get_the_same_samples():
    plans = distributed.make_plans([0, 1, 1], 16)
    ours = distributed.our_command(2, 4567, plans, 30)
    assert ours[-3:] == ("--shares", "6,3,3", "4,4,4")
    assert {"--coordinator=localhost:4567", "--process_id=2", "--num_processes=3"} <= set(ours)
    theirs = distributed.ddp_command(2, 4567, plans["balanced"], 30, "/other/python")
    assert theirs[0] == "/other/python"
    assert {"--port=4567", "--rank=2", "--world=3", "--counts=96,48,48"} <= set(theirs)


@pytest.mark.parametrize("shares", ["6,3,3", "4,4,4", "1", "11,1,7,5"])
def test_a_process_of_ours_takes_the_shares_it_is_told(shares):
    plan = cluster_step.make_shares(shares, 16)
    assert ",".join(map(str, plan.shares)) == shares
    assert plan.batch_size == 16 * sum(plan.shares)


def test_cores_become_numbers(three_cores):
    assert distributed.parse_arguments(["--cores=2,0,2"]).cores == [2, 0, 2]


@pytest.mark.parametrize(
    "flag",
    [
        "--cores=0,3",
        "--cores=a",
        "--cores=",
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
    assert distributed.find_version(sys.executable, "no_such_module") is None
    assert distributed.find_version(sys.executable, "numpy")[0].isdigit()


def test_the_port_is_free():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", distributed.free_port()))
