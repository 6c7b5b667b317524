import dataclasses
import json

import pytest

from hsi_jax.comparison.footnotes import describe_biases, describe_speeds, footnotes
from hsi_jax.comparison.one_run import ComparisonRun, Platform
from hsi_jax.hetero import parse_profile
from hsi_jax.options import with_values
from hsi_jax.session.options import RunOptions
from tests.evaluate.conftest import SUMMARY

PROFILE = parse_profile("2:1:1")


def run_of(scheme, seed=0, peer=False):
    ours = "even" if peer else scheme
    options = with_values(RunOptions(), scheme=ours, seed=seed, batch_size=128, microbatch_size=16)
    return ComparisonRun(scheme, options, peer=peer)


def platform_of(folder):
    return Platform(PROFILE, False, (), (), folder, "")


def test_each_scheme_with_unequal_weights_is_told_once():
    runs = [run_of(scheme, seed) for seed in (0, 1) for scheme in ("balanced", "even")]
    (line,) = describe_biases(runs, PROFILE)
    assert line.startswith("even: ")
    assert "3, 3, 2" in line
    assert "1.50 times" in line


def test_peers_divide_to_the_sample():
    (line,) = describe_biases([run_of("ddp_even", peer=True)], PROFILE)
    assert "43, 43, 42" in line
    assert describe_biases([run_of("ddp_proportional", peer=True)], PROFILE) == []


def test_the_shares_under_a_table_are_those_of_the_run():
    run = run_of("uniform")
    outcome = dataclasses.replace(
        SUMMARY,
        scheme="uniform",
        device_names=("a", "b"),
        speeds=(3.0, 1.0),
        shares=(6, 2),
        batch_size=128,
        microbatch_size=16,
    )
    (line,) = describe_biases([run], PROFILE, {run.name: outcome})
    assert "6, 2" in line
    assert "3.00 times" in line


@pytest.mark.parametrize(
    ("realised", "differs"),
    [
        ((2.0, 1.0, 1.0), False),
        ((1.0, 0.5, 0.5), False),  # slower, all alike
        ((2.0, 1.0, 1.3), True),
        ((649, 740, 684), True),
        (None, False),
    ],
)
def test_speeds_that_were_not_realised_are_found(tmp_path, realised, differs):
    run = run_of("even")
    logs = tmp_path / "logs" / run.name
    logs.mkdir(parents=True)
    (logs / "speeds.json").write_text(json.dumps({"asked": (2, 1, 1), "realised": realised}))
    line, found = describe_speeds(run, None, platform_of(tmp_path))
    assert "2:1:1" in line
    assert found == differs
    assert ("WARNING" in footnotes([run], {run.name: SUMMARY}, platform_of(tmp_path))) == differs


def test_speeds_that_a_run_measured_itself_count_as_well(tmp_path):
    run = run_of("balanced")
    logs = tmp_path / "logs" / run.name
    logs.mkdir(parents=True)
    (logs / "speeds.json").write_text('{"asked": [2, 1, 1], "realised": [2, 1, 1]}')
    outcome = dataclasses.replace(SUMMARY, profile="measured", speeds=(649, 740, 684))
    line, found = describe_speeds(run, outcome, platform_of(tmp_path))
    assert found
    assert "1.25:1.43:1.32" in line
    adaptive = dataclasses.replace(outcome, scheme="adaptive")  # those are of the end
    assert not describe_speeds(run, adaptive, platform_of(tmp_path))[1]


def test_emulated_runs_have_no_speeds(tmp_path):
    assert describe_speeds(run_of("even"), None, platform_of(tmp_path)) == ("", False)
