"""Uneven processes that train together: our step by speed and even, against PyTorch DDP.

    python -m benchmarks.distributed [--cores 0,1,1] [--repeats 3] [--steps 30]
        [--microbatch_size 8] [--torch_python PATH]

One process is pinned to each of the given cores, with one thread; those on the same core share it,
so that 0,1,1 is a machine of speeds 2:1:1. All train the cnn2d on batches of 192 samples of
11x11x30. `balanced` and `DDP proportional` divide the batch by these speeds, the others evenly.
`ideal` is the batch divided by the sum of the throughputs that our processes reach while all of
them compute and none communicates: no division of the batch could be faster with our kernels.

PyTorch is optional (benchmarks/peers/requirements.txt) and may live in another environment, whose
Python is given by --torch_python.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import describe_machine
from hsi_jax.hetero import Plan, make_plan, parse_profile
from hsi_jax.hetero.workers import Worker, Workers, free_port

BATCH_SIZE = 192
PATIENCE_SECONDS = 120  # for one start of all processes; about 15 are needed
ONE_THREAD = {"NPROC": "1", "OMP_NUM_THREADS": "1"}
DDP = {"DDP even": "even", "DDP proportional": "balanced"}
HOROVOD = ("Horovod even", "Horovod proportional")
ROWS = ("ideal", "balanced", "even", *DDP)
RATIOS = (
    ("balanced", "ideal"),
    ("even", "balanced"),
    ("DDP even", "balanced"),
    ("DDP proportional", "balanced"),
)

Times = dict[str, float]  # milliseconds by row


def main() -> None:
    """Prints the machine, the median time of a step in every repeat, and the ratios."""
    arguments = parse_arguments()
    cores = arguments.cores
    plans = make_plans(cores, arguments.microbatch_size)
    torch = find_version(arguments.torch_python, "torch")
    print(describe_machine(pinned=False))
    print(
        f"load average {os.getloadavg()[0]:.2f} at the start; processes on cores {cores}; batch "
        f"{BATCH_SIZE}, microbatches of {arguments.microbatch_size}, samples of each process "
        f"{plans['balanced'].counts} by speed, {plans['even'].counts} even; "
        f"PyTorch {torch or 'not installed'}\n"
    )
    rounds = []
    for _ in range(arguments.repeats):
        times = time_ours(cores, plans, arguments.steps)
        if torch:
            times |= time_ddp(cores, plans, arguments.steps, arguments.torch_python)
        rounds.append(times)
    print(format_times(rounds))
    print(format_ratios(rounds))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the flags; cores become a list of numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="0,1,1", help="the CPU core of each process")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of all in turn")
    parser.add_argument("--steps", type=int, default=30, help="timed steps in each round")
    parser.add_argument("--microbatch_size", type=int, default=16, help="samples, of ours")
    parser.add_argument("--torch_python", default=sys.executable, help="a Python that has torch")
    flags = parser.parse_args(arguments)
    for name in ("repeats", "steps", "microbatch_size"):
        if getattr(flags, name) < 1:
            parser.error(f"--{name}={getattr(flags, name)}: give a whole number >= 1")
    if BATCH_SIZE % flags.microbatch_size:
        parser.error(f"--microbatch_size={flags.microbatch_size}: give a divisor of {BATCH_SIZE}")
    if shutil.which(flags.torch_python) is None:
        parser.error(f"--torch_python={flags.torch_python}: give the path of a Python")
    allowed = sorted(os.sched_getaffinity(0))
    try:
        cores = [int(core) for core in flags.cores.split(",")]
    except ValueError:
        cores = []
    if not cores or not set(cores) <= set(allowed):
        parser.error(f"--cores={flags.cores}: give some of {allowed} between commas")
    flags.cores = cores
    return flags


def make_plans(cores: Sequence[int], microbatch_size: int) -> dict[str, Plan]:
    """The batch divided evenly, and by the part of its core that each process has."""
    profile = parse_profile(":".join(str(1 / cores.count(core)) for core in cores))
    return {
        scheme: make_plan(scheme, profile, BATCH_SIZE, microbatch_size)
        for scheme in ("balanced", "even")
    }


def find_version(python: str, module: str) -> str | None:
    """The version of a module in that Python, or None where it cannot be imported."""
    code = f"import {module}; print({module}.__version__)"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def time_ours(cores: Sequence[int], plans: dict[str, Plan], steps: int) -> Times:
    """Medians of our steps, both plans in the same processes, and the ideal."""
    port = free_port()
    lines = run(cores, [our_command(rank, port, plans, steps) for rank in range(len(cores))])
    results = dict(zip(plans, lines, strict=True))
    ideal = BATCH_SIZE / sum(results["balanced"]["throughputs"])
    return {"ideal": 1e3 * ideal} | {name: median_ms(line) for name, line in results.items()}


def time_ddp(cores: Sequence[int], plans: dict[str, Plan], steps: int, python: str) -> Times:
    """Medians of the steps of DDP, a start for each plan."""
    times = {}
    for name, scheme in DDP.items():
        port, plan = free_port(), plans[scheme]
        commands = [ddp_command(rank, port, plan, steps, python) for rank in range(len(cores))]
        (line,) = run(cores, commands)
        times[name] = median_ms(line)
    return times


def our_command(rank: int, port: int, plans: dict[str, Plan], steps: int) -> tuple[str, ...]:
    """Starts one process of `benchmarks.cluster_step`, for all plans in turn."""
    some = next(iter(plans.values()))
    shares = [",".join(map(str, plan.shares)) for plan in plans.values()]
    return (
        *(sys.executable, "-m", "benchmarks.cluster_step", f"--coordinator=localhost:{port}"),
        *(f"--num_processes={len(some.shares)}", f"--process_id={rank}"),
        *(f"--microbatch_size={some.microbatch_size}", f"--steps={steps}", "--shares", *shares),
    )


def ddp_command(rank: int, port: int, plan: Plan, steps: int, python: str) -> tuple[str, ...]:
    """Starts one rank of `benchmarks.peers.ddp`."""
    counts = ",".join(map(str, plan.counts))
    return (
        *(python, "-m", "benchmarks.peers.ddp", f"--rank={rank}", f"--world={len(plan.counts)}"),
        *(f"--port={port}", f"--counts={counts}", f"--steps={steps}"),
    )


def run(cores: Sequence[int], commands: Sequence[tuple[str, ...]]) -> list[dict]:
    """Runs a command on each core, all at once, and reads the lines of JSON that rank 0 prints.

    Raises:
        WorkerError: if a process fails.
        TimeoutError: if they have not ended after `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS

    def watch():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{commands[0]} has not ended within {PATIENCE_SECONDS} s")

    with tempfile.TemporaryDirectory(prefix="hsi_jax-") as folder:
        logs = [Path(folder, f"rank{rank}.log") for rank in range(len(cores))]
        ranks = zip(commands, cores, logs, strict=True)
        with Workers([Worker(command, ONE_THREAD, core, log) for command, core, log in ranks]) as w:
            w.wait(watch)
        lines = logs[0].read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def median_ms(line: dict) -> float:
    """The median of a line's step times, in milliseconds."""
    return 1e3 * float(np.median(line["step_seconds"]))


def format_times(rounds: Sequence[Times]) -> str:
    """A row for each competitor: its step in every repeat and the median of these, in ms."""
    numbers = "".join(f"{f'repeat {n}':>10}" for n in range(1, len(rounds) + 1))
    lines = [f"{'median ms a step':28}{numbers}{'median':>10}"]
    for row in ROWS:
        lines.append(f"{row:28}{_format_cells([times.get(row) for times in rounds], 1)}")
    lines += [f"{row:28}{'not covered':>15}" for row in HOROVOD]
    return "\n".join(lines) + "\n"


def format_ratios(rounds: Sequence[Times]) -> str:
    """A row for each ratio: in every repeat, and the median of these."""
    lines = []
    for above, below in RATIOS:
        ratios = [times[above] / times[below] if above in times else None for times in rounds]
        lines.append(f"{f'{above} / {below}':28}{_format_cells(ratios, 3)}")
    return "\n".join(lines)


def _format_cells(values: Sequence[float | None], digits: int) -> str:
    if None in values:
        return f"{'not installed':>15}"
    return "".join(f"{value:10.{digits}f}" for value in (*values, np.median(values)))


if __name__ == "__main__":
    main()
