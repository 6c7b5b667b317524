"""Times of competitors measured in turn, on a machine that the report names (Linux)."""

import argparse
import os
import time
from collections.abc import Callable, Mapping

import jax
import numpy as np

from hsi_jax.launch.measured_processes import describe_machine


def parse_arguments(
    docstring: str | None,
    add_flags: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> argparse.Namespace:
    """Reads --repeats and --cores and pins this process; call it before JAX makes its threads.

    Args:
        docstring: of the benchmark; its first line is the description.
        add_flags: defines the benchmark's own flags.
    """
    parser = argparse.ArgumentParser(description=first_line(docstring))
    parser.add_argument("--repeats", type=int, default=7, help="rounds of all competitors in turn")
    parser.add_argument("--cores", help="pin to these CPU cores, for example 0 or 0,1")
    add_flags(parser)
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats={arguments.repeats}: give a whole number >= 1")
    if arguments.cores is not None:
        try:
            os.sched_setaffinity(0, {int(core) for core in arguments.cores.split(",")})
        except (OSError, ValueError):
            allowed = sorted(os.sched_getaffinity(0))
            parser.error(f"--cores={arguments.cores}: give some of {allowed} between commas")
    print(describe_machine(pinned=arguments.cores is not None))
    return arguments


def interleave(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Runs every call once to compile, then all in turn, so that a busy moment hits them alike.

    Args:
        calls: competitors by name; what they return is waited for.
        repeats: rounds.

    Returns:
        Seconds of each call, float64 [repeats], by name.
    """
    times = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - start)
    return {name: np.array(seconds) for name, seconds in times.items()}


def first_line(docstring: str | None) -> str:
    """What a program does, by its docstring."""
    return (docstring or "").partition("\n")[0]
