"""The parts of the check that start no process."""

import sys

import pytest

from benchmarks import simulation, simulation_process
from hsi_jax.hetero.profile import parse_profile
from hsi_jax.hetero.simulation import Network, in_seconds

RING = Network(latency=2e-4, bandwidth=5e8, all_reduce="ring")


def result_of(network: Network, speeds: str, balanced: list[int], even: list[int], slower=1.0):
    """What processes print that behave like the model, or are slower by a factor in their steps."""
    profile = in_seconds(parse_profile(speeds), 0.01)
    sizes = [80_000, 160_000, 640_000]
    all_reduces = [network.all_reduce_seconds(len(profile), size) for size in sizes]

    def steps(shares):
        seconds = slower * (max(profile.times(shares)) + all_reduces[-1])
        return {"shares": shares, "seconds": [seconds, seconds, 9.0]}

    return {
        "profile": profile.to_json(),
        "all_reduce": {"bytes": sizes, "seconds": [[s, s, 1.0] for s in all_reduces]},
        "balanced": steps(balanced),
        "even": steps(even),
    }


@pytest.mark.parametrize(("speeds", "shares"), [("1:1", [3, 3]), ("2:1:1", [3, 2, 2])])
def test_the_fit_finds_the_network(speeds, shares):
    network = simulation.fit_network(result_of(RING, speeds, shares, shares))
    assert network.latency == pytest.approx(RING.latency)
    assert network.bandwidth == pytest.approx(RING.bandwidth)
    assert network.all_reduce == "ring"


def test_processes_like_the_model_show_no_error():
    rows = simulation.compare(result_of(RING, "2:1:1", [12, 6, 6], [8, 8, 8]), RING)
    names = [row.what for row in rows]
    assert names == ["all-reduce, ms", "balanced step, ms", "even step, ms", "gain"]
    all_reduce = 1e3 * (4 * RING.latency + 4 / 3 * 640_000 / RING.bandwidth)
    expected = [all_reduce, 60 + all_reduce, 80 + all_reduce]
    assert [row.modelled for row in rows[:3]] == pytest.approx(expected)
    assert [row.error for row in rows] == pytest.approx([0] * 4)


def test_the_error_is_that_of_the_model():
    result = result_of(RING, "2:1:1", [12, 6, 6], [8, 8, 8], slower=1.25)
    errors = [row.error for row in simulation.compare(result, RING)]
    assert errors == pytest.approx([0, -0.2, -0.2, 0])
    table = simulation.format_table(simulation.compare(result, RING))
    assert table.count("-20.0%") == 2
    assert "modelled" in table.splitlines()[0]


def test_one_process_measures_what_is_compared():
    result = simulation_process.measure(1, steps=2)
    assert result["balanced"]["shares"] == result["even"]["shares"] == (24,)
    assert len(result["even"]["seconds"]) == 2
    assert min(result["even"]["seconds"]) > 0
    sizes = result["all_reduce"]["bytes"]
    assert sizes == sorted(sizes)
    assert all(min(seconds) > 0 for seconds in result["all_reduce"]["seconds"])
    assert result["profile"]["time_unit"] == "s"


def test_each_process_has_its_core(monkeypatch):
    started = []
    monkeypatch.setattr(simulation, "run", lambda cores, commands: started.append(commands) or [{}])
    simulation.measure([0, 1, 1], steps=7)
    for rank, command in enumerate(started[0]):
        assert command[:3] == (sys.executable, "-m", "benchmarks.simulation_process")
        assert f"--process_id={rank}" in command
        assert {"--num_processes=3", "--steps=7"} <= set(command)


@pytest.mark.parametrize("flag", ["--repeats=0", "--steps=-1"])
def test_a_number_below_one_is_refused(flag, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["simulation", flag])
    with pytest.raises(SystemExit):
        simulation.main()
    assert f"{flag}: give a whole number >= 1" in capsys.readouterr().err
