"""Checks the simulation's model against processes of this machine.

Two, three and four processes with one thread each train the cnn2d: process 0 has a core to itself,
the others share a second one. Each start measures t(n) of every process, the all-reduce, and the
steps with balanced and even shares. The model gets t(n), and the latency and bandwidth that
explain the all-reduce of two processes around a ring, which is the way of gloo. All other values
in the column "modelled" follow from these.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsi_jax.hetero.profile import Device, Profile
from hsi_jax.hetero.simulation import Network, step_seconds
from hsi_jax.hetero.timing import fit_timing
from hsi_jax.launch.measured_processes import describe_machine, run_measured
from hsi_jax.launch.placement import Placement, place
from hsi_jax.launch.workers import available_cores, free_port

COUNTS = (2, 3, 4)  # processes
REPEATS = 3
STEPS = 30


@dataclass(frozen=True)
class Comparison:
    """One figure, measured and modelled: milliseconds, or a ratio."""

    devices: int
    what: str
    measured: float
    modelled: float

    @property
    def error(self) -> float:
        """Of the modelled figure, relative to the measured one."""
        return self.modelled / self.measured - 1


def check(repeats: int = REPEATS, steps: int = STEPS) -> None:
    """Measures and compares; prints the machine, and a table for each repeat.

    Args:
        repeats: rounds of all processes.
        steps: timed steps of each scheme.

    Raises:
        InputError: if this is not Linux.
        WorkerError: if a process fails.
        TimeoutError: if the processes do not end.
    """
    cores = available_cores()
    print(describe_machine(pinned=False))
    print(f"load average {os.getloadavg()[0]:.2f} at the start; cores {cores[:2]}")
    for repeat in range(1, repeats + 1):
        results = [measure(place([n - 1, *[1] * (n - 1)], cores[:2]), steps) for n in COUNTS]
        network = fit_network(results[0])
        print(
            f"\nrepeat {repeat}: latency {1e6 * network.latency:.0f} us, bandwidth "
            f"{1e-9 * network.bandwidth:.3f} GB/s, fitted to the all-reduces of {COUNTS[0]}"
        )
        print(format_table([row for result in results for row in compare(result, network)]))


def measure(placements: Sequence[Placement], steps: int) -> dict[str, Any]:
    """Starts `hsi_jax.simulation.process` at each place; returns what process 0 prints."""
    port = free_port()
    commands = [
        (
            *(sys.executable, "-m", "hsi_jax.simulation.process", f"--process_id={rank}"),
            *(f"--coordinator=localhost:{port}", f"--num_processes={len(placements)}"),
            f"--steps={steps}",
        )
        for rank in range(len(placements))
    ]
    (result,) = run_measured(placements, commands)
    return result


def fit_network(result: dict[str, Any]) -> Network:
    """The network in which a ring takes the times of the all-reduces of this result."""
    devices = len(result["profile"]["devices"])
    measured = result["all_reduce"]
    line = fit_timing(measured["bytes"], np.array(measured["seconds"]))
    messages = 2 * (devices - 1)
    return Network(
        latency=line.fixed_cost / messages,
        bandwidth=messages / devices / line.per_microbatch,
        all_reduce="ring",
    )


def compare(result: dict[str, Any], network: Network) -> list[Comparison]:
    """The medians of a result beside the modelled values."""
    profile = Profile(tuple(Device(**device) for device in result["profile"]["devices"]))
    devices = len(profile)
    all_reduce = network.all_reduce_seconds(devices, result["all_reduce"]["bytes"][-1])
    pairs = {"all-reduce, ms": (result["all_reduce"]["seconds"][-1], all_reduce)}
    for scheme in ("balanced", "even"):
        modelled, _ = step_seconds(profile, result[scheme]["shares"], all_reduce)
        pairs[f"{scheme} step, ms"] = (result[scheme]["seconds"], modelled)
    rows = [
        Comparison(devices, what, 1e3 * float(np.median(seconds)), 1e3 * modelled)
        for what, (seconds, modelled) in pairs.items()
    ]
    _, balanced, even = rows
    gain = even.measured / balanced.measured, even.modelled / balanced.modelled
    return [*rows, Comparison(devices, "gain", *gain)]


def format_table(rows: Sequence[Comparison]) -> str:
    """A line for each comparison."""
    lines = [f"{'processes':>9}  {'':20}{'measured':>10}{'modelled':>10}{'error':>9}"]
    for row in rows:
        lines.append(
            f"{row.devices:>9}  {row.what:20}{row.measured:>10.3f}{row.modelled:>10.3f}"
            f"{row.error:>+9.1%}"
        )
    return "\n".join(lines)
