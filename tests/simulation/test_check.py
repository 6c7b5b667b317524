"""The check of the simulation, without the processes that it starts."""

import sys

import pytest

from hsi_jax.hetero.profile import parse_profile
from hsi_jax.hetero.simulation import Network, in_seconds
from hsi_jax.launch.placement import place
from hsi_jax.simulation import check as simulation_check
from hsi_jax.simulation import process as simulation_process

pytestmark = [pytest.mark.long, pytest.mark.slow]

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
    network = simulation_check.fit_network(result_of(RING, speeds, shares, shares))
    assert network.latency == pytest.approx(RING.latency)
    assert network.bandwidth == pytest.approx(RING.bandwidth)
    assert network.all_reduce == "ring"


def test_processes_like_the_model_show_no_error():
    rows = simulation_check.compare(result_of(RING, "2:1:1", [12, 6, 6], [8, 8, 8]), RING)
    names = [row.what for row in rows]
    assert names == ["all-reduce, ms", "balanced step, ms", "even step, ms", "gain"]
    all_reduce = 1e3 * (4 * RING.latency + 4 / 3 * 640_000 / RING.bandwidth)
    expected = [all_reduce, 60 + all_reduce, 80 + all_reduce]
    assert [row.modelled for row in rows[:3]] == pytest.approx(expected)
    assert [row.error for row in rows] == pytest.approx([0] * 4)


def test_the_error_is_that_of_the_model():
    result = result_of(RING, "2:1:1", [12, 6, 6], [8, 8, 8], slower=1.25)
    errors = [row.error for row in simulation_check.compare(result, RING)]
    assert errors == pytest.approx([0, -0.2, -0.2, 0])
    table = simulation_check.format_table(simulation_check.compare(result, RING))
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

    def run(placements, commands):
        started.append((placements, commands))
        return [{"all_reduce": {}}]

    monkeypatch.setattr(simulation_check, "run_measured", run)
    placements = place((2, 1, 1), (0, 1))
    assert simulation_check.measure(placements, steps=7) == {"all_reduce": {}}
    ((given, commands),) = started
    assert given is placements
    for rank, command in enumerate(commands):
        assert command[:3] == (sys.executable, "-m", "hsi_jax.simulation.process")
        assert f"--process_id={rank}" in command
        assert {"--num_processes=3", "--steps=7"} <= set(command)


def test_all_counts_of_processes_are_compared(monkeypatch, capsys):
    started = []

    def measure(placements, steps):
        started.append((len(placements), steps))
        speeds = ":".join(f"{placement.fraction:g}" for placement in placements)
        return result_of(RING, speeds, [8] * len(placements), [8] * len(placements))

    monkeypatch.setattr(simulation_check, "measure", measure)
    monkeypatch.setattr(simulation_check, "available_cores", lambda: [0, 1])
    simulation_check.check(repeats=2, steps=7)
    assert started == [(2, 7), (3, 7), (4, 7)] * 2
    printed = capsys.readouterr().out
    assert printed.count("latency 200 us") == 2
    assert printed.count("all-reduce, ms") == 6
