"""Processes that measure themselves: they are placed, throttled and asked for their results."""

import contextlib
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hsi_jax.launch.placement import Placement
from hsi_jax.launch.throttle import Throttle
from hsi_jax.launch.workers import Worker, Workers
from hsi_jax.temporary import temporary_folder

MAX_SECONDS = 600  # for one start of all processes; three on two cores need about 15
ONE_THREAD = {"NPROC": "1", "OMP_NUM_THREADS": "1"}
READY = "ready"  # rank 0 prints it when nothing is left to compile


def run_measured(
    placements: Sequence[Placement], commands: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """Runs a command at each place, all at once, and reads the lines of JSON that rank 0 prints.

    Each process has one thread. As soon as rank 0 has printed `READY`, the processes are held to
    their part of a core's time.

    Args:
        placements: of the processes, by rank.
        commands: program and arguments of each.

    Raises:
        WorkerError: if a process fails.
        TimeoutError: if they have not ended after `MAX_SECONDS`.
    """
    deadline = time.monotonic() + MAX_SECONDS
    with temporary_folder() as folder, contextlib.ExitStack() as stack:
        logs = [folder / f"rank{rank}.log" for rank in range(len(placements))]
        workers = [
            Worker(tuple(command), ONE_THREAD, place.core, log)
            for command, place, log in zip(commands, placements, logs, strict=True)
        ]
        running = stack.enter_context(Workers(workers))
        throttle = Throttle(running.processes, placements)
        throttled = False

        def watch():
            nonlocal throttled
            if time.monotonic() > deadline:
                raise TimeoutError(f"{commands[0]} has not ended within {MAX_SECONDS} s")
            if not throttled and READY in logs[0].read_text(encoding="utf-8").splitlines():
                stack.enter_context(throttle)
                throttled = True

        running.wait(watch)
        lines = logs[0].read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def describe_machine(pinned: bool) -> str:
    """CPU, cores and JAX version, in a line, for reports of measured times. Linux only.

    Args:
        pinned: whether this process was pinned to the cores that it may use.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = sorted(os.sched_getaffinity(0))
    return (
        f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores, "
        f"{'pinned to' if pinned else 'free to use'} {cores}; JAX {version('jax')}"
    )
