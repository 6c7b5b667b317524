"""Times of competitors measured in turn, on a machine that the report names (Linux)."""

import argparse
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np


def parse_arguments(
    description: str, add_flags: Callable[[argparse.ArgumentParser], None] = lambda parser: None
) -> argparse.Namespace:
    """Reads --repeats and --cores and pins this process; call it before JAX makes its threads.

    `add_flags` defines a benchmark's own.
    """
    parser = argparse.ArgumentParser(description=description)
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


def describe_machine(pinned: bool) -> str:
    """CPU, cores and JAX version, in a line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = sorted(os.sched_getaffinity(0))
    return (
        f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores, "
        f"{'pinned to' if pinned else 'free to use'} {cores}; JAX {jax.__version__}"
    )
