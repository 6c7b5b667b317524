"""Uneven processes that train together: our step by speed and even, against DDP and Horovod.

    python -m benchmarks.distributed [--profile 2:1:1] [--repeats 3] [--steps 30]
        [--batch_size 192] [--microbatch_size 16] [--torch_python PATH]

The profile says how fast the processes really are: as `experiments.launch` does, they are pinned to
cores, with one thread each, and held to their part of a core's time (2:1:1 on two cores is a core
for one process and one that two share; 2:1 is a core for each, one process slowed to half). All
train the cnn2d on batches of samples of 11x11x30. `balanced` and the proportional peers divide
the batch by these speeds, the others evenly. `ideal` is the batch divided by the sum of the
throughputs that our processes reach while all of them compute and none communicates: no division
of the batch could be faster with our kernels. What these throughputs allow over even shares is
`allowed gain`. `timed` is a step that measures the devices, as one in --retime_every is.

PyTorch and Horovod are optional (benchmarks/peers/requirements.txt) and may live in another
environment, whose Python is given by --torch_python.
"""

import argparse
import contextlib
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
from hsi_jax.errors import InputError
from hsi_jax.hetero import Plan, Profile, make_plan, parse_profile
from hsi_jax.hetero.placement import Placement, place
from hsi_jax.hetero.throttle import Throttle
from hsi_jax.hetero.workers import Worker, Workers, available_cores, free_port

PATIENCE_SECONDS = 600  # for one start of all processes; three on two cores need about 15
ONE_THREAD = {"NPROC": "1", "OMP_NUM_THREADS": "1"}
READY = "ready"  # what rank 0 prints when nothing is left to compile
# Row: the peer's module, what it needs, and our scheme that divides the batch alike.
PEERS = {
    "DDP even": ("ddp", "torch", "even"),
    "DDP proportional": ("ddp", "torch", "balanced"),
    "Horovod even": ("horovod", "horovod", "even"),
    "Horovod proportional": ("horovod", "horovod", "balanced"),
}
OURS = ("ideal", "balanced", "even", "timed", "own work", "sum and update")
RATIOS = (
    ("balanced", "ideal"),
    ("even", "balanced"),
    ("timed", "balanced"),
    *((peer, "balanced") for peer in PEERS),
)

Times = dict[str, float]  # milliseconds by row; and "allowed gain", a ratio


def main() -> None:
    """Prints the machine, the median time of a step in every repeat, and the ratios."""
    arguments = parse_arguments()
    profile, placements = arguments.profile, arguments.placements
    plans = make_plans(profile, arguments.batch_size, arguments.microbatch_size)
    versions = {name: find_version(arguments.torch_python, name) for name in ("torch", "horovod")}
    print(describe_machine(pinned=False))
    print(
        f"load average {os.getloadavg()[0]:.2f} at the start; processes on cores "
        f"{[p.core for p in placements]}, for {[round(p.fraction, 3) for p in placements]} of "
        f"their time; batch {arguments.batch_size}, microbatches of {arguments.microbatch_size}, "
        f"samples of each process {plans['balanced'].counts} by speed, "
        f"{plans['even'].counts} even; "
        + ", ".join(f"{name} {found or 'not installed'}" for name, found in versions.items())
        + "\n"
    )
    rounds = []
    for _ in range(arguments.repeats):
        times = time_ours(placements, plans, arguments.steps)
        for row, (_, needs, scheme) in PEERS.items():
            if versions[needs]:
                command = peer_commands(row, plans[scheme], arguments.steps, arguments.torch_python)
                (line,) = run(placements, command)
                times[row] = median_ms(line["step_seconds"])
        rounds.append(times)
    print(format_times(rounds))
    print(format_ratios(rounds))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the flags; the profile becomes one, with the `placements` of its processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="2:1:1", help="speeds of the processes")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of all in turn")
    parser.add_argument("--steps", type=int, default=30, help="timed steps in each round")
    parser.add_argument("--batch_size", type=int, default=192, help="samples of a step")
    parser.add_argument("--microbatch_size", type=int, default=16, help="samples, of ours")
    parser.add_argument("--torch_python", default=sys.executable, help="a Python that has torch")
    flags = parser.parse_args(arguments)
    for name in ("repeats", "steps", "batch_size", "microbatch_size"):
        if getattr(flags, name) < 1:
            parser.error(f"--{name}={getattr(flags, name)}: give a whole number >= 1")
    if flags.batch_size % flags.microbatch_size:
        parser.error(
            f"--microbatch_size={flags.microbatch_size}: give a divisor of {flags.batch_size}"
        )
    if shutil.which(flags.torch_python) is None:
        parser.error(f"--torch_python={flags.torch_python}: give the path of a Python")
    speeds = flags.profile
    try:
        flags.profile = parse_profile(speeds)
        flags.placements = place(flags.profile.speeds, available_cores())
    except InputError as error:
        parser.error(f"--profile={speeds}: {error}")
    return flags


def make_plans(profile: Profile, batch_size: int, microbatch_size: int) -> dict[str, Plan]:
    """The batch divided evenly, and by speed."""
    return {
        scheme: make_plan(scheme, profile, batch_size, microbatch_size)
        for scheme in ("balanced", "even")
    }


def find_version(python: str, module: str) -> str | None:
    """The version of a module in that Python, or None where it cannot be imported."""
    code = f"import {module}; print({module}.__version__)"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def time_ours(placements: Sequence[Placement], plans: dict[str, Plan], steps: int) -> Times:
    """Medians of our steps, both plans in the same processes, the ideal and where time goes."""
    port = free_port()
    lines = run(placements, [our_command(r, port, plans, steps) for r in range(len(placements))])
    results = dict(zip(plans, lines, strict=True))
    balanced, even = results["balanced"], results["even"]
    rates = np.array(balanced["throughputs"])
    evenly = max(plans["even"].counts / rates)
    ideally = plans["balanced"].batch_size / rates.sum()
    return {
        "ideal": 1e3 * ideally,
        "balanced": median_ms(balanced["step_seconds"]),
        "even": median_ms(even["step_seconds"]),
        "timed": median_ms(balanced["timed_step_seconds"]),
        "own work": median_ms(balanced["own_work_seconds"]),
        "sum and update": median_ms(balanced["sum_and_update_seconds"]),
        "allowed gain": evenly / ideally,
    }


def our_command(rank: int, port: int, plans: dict[str, Plan], steps: int) -> tuple[str, ...]:
    """Starts one process of `benchmarks.cluster_step`, for all plans in turn."""
    some = next(iter(plans.values()))
    shares = [",".join(map(str, plan.shares)) for plan in plans.values()]
    return (
        *(sys.executable, "-m", "benchmarks.cluster_step", f"--coordinator=localhost:{port}"),
        *(f"--num_processes={len(some.shares)}", f"--process_id={rank}"),
        *(f"--microbatch_size={some.microbatch_size}", f"--steps={steps}", "--shares", *shares),
    )


def peer_commands(row: str, plan: Plan, steps: int, python: str) -> list[tuple[str, ...]]:
    """Starts the ranks of a peer of `benchmarks.peers`."""
    port, world = free_port(), len(plan.counts)
    counts = ",".join(map(str, plan.counts))
    return [
        (
            *(python, "-m", f"benchmarks.peers.{PEERS[row][0]}", f"--rank={rank}"),
            *(f"--world={world}", f"--port={port}", f"--counts={counts}", f"--steps={steps}"),
        )
        for rank in range(world)
    ]


def run(placements: Sequence[Placement], commands: Sequence[tuple[str, ...]]) -> list[dict]:
    """Runs a command at each place, all at once, and reads the lines of JSON that rank 0 prints.

    From when rank 0 has printed `READY`, the processes are held to their part of a core's time.

    Raises:
        WorkerError: if a process fails.
        TimeoutError: if they have not ended after `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    with tempfile.TemporaryDirectory(prefix="hsi_jax-") as folder, contextlib.ExitStack() as stack:
        logs = [Path(folder, f"rank{rank}.log") for rank in range(len(placements))]
        ranks = zip(commands, placements, logs, strict=True)
        workers = [Worker(command, ONE_THREAD, place.core, log) for command, place, log in ranks]
        running = stack.enter_context(Workers(workers))
        throttle = Throttle(running.processes, placements)
        throttled = False

        def watch():
            nonlocal throttled
            if time.monotonic() > deadline:
                raise TimeoutError(f"{commands[0]} has not ended within {PATIENCE_SECONDS} s")
            if not throttled and READY in logs[0].read_text(encoding="utf-8").splitlines():
                stack.enter_context(throttle)
                throttled = True

        running.wait(watch)
        lines = logs[0].read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def median_ms(seconds: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return 1e3 * float(np.median(seconds))


def format_times(rounds: Sequence[Times]) -> str:
    """A row for each competitor: its step in every repeat and the median of these, in ms."""
    numbers = "".join(f"{f'repeat {n}':>10}" for n in range(1, len(rounds) + 1))
    lines = [f"{'median ms a step':28}{numbers}{'median':>10}"]
    for row in (*OURS, *PEERS):
        lines.append(f"{row:28}{_format_cells([times.get(row) for times in rounds], 1)}")
    return "\n".join(lines) + "\n"


def format_ratios(rounds: Sequence[Times]) -> str:
    """A row for each ratio: in every repeat, and the median of these."""
    ratios = {
        f"{above} / {below}": [
            times[above] / times[below] if above in times else None for times in rounds
        ]
        for above, below in RATIOS
    }
    ratios["allowed gain"] = [times["allowed gain"] for times in rounds]
    return "\n".join(f"{row:28}{_format_cells(values, 3)}" for row, values in ratios.items())


def _format_cells(values: Sequence[float | None], digits: int) -> str:
    if None in values:
        return f"{'not installed':>15}"
    return "".join(f"{value:10.{digits}f}" for value in (*values, np.median(values)))


if __name__ == "__main__":
    main()
