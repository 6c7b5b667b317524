"""Uneven processes that train together: our step by speed and even, against DDP and Horovod.

    python -m benchmarks.distributed [--profile 2:1:1] [--repeats 3] [--steps 30]
        [--batch_size 192] [--microbatch_size 16] [--kernels native] [--torch_python PATH]
        [--minutes 5]

The profile says how fast the processes really are. As `experiments.launch` does, they are pinned to
cores, with one thread each, and held to their part of a core's time (2:1:1 on two cores is a core
for one process and one that two share; 2:1 is a core for each, one process slowed to half). All
train the cnn2d on batches of samples of 11x11x30. `balanced` and the proportional peers divide
the batch by these speeds, the others evenly; `measured` divides it by the speeds that are measured
at the start, as `--profile=measured` of a run does. `ideal` is the batch divided by the sum of the
throughputs that our processes reach while all of them compute and none communicates: no division
of the batch could be faster with our kernels. `allowed gain` is the speed-up over even shares that
these throughputs allow. `timed` is a step that measures the devices, as one in --retime_every does.

PyTorch and Horovod are optional (benchmarks/peers/requirements.txt) and may live in another
environment, whose Python is given by --torch_python. Every repeat is told as it ends; with
--minutes no further repeat, and no further peer, begins when the time is over.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.measure import Watch, add_minutes, first_line
from hsi_jax.comparison.peer import PEERS as ALL_PEERS
from hsi_jax.comparison.peer import Peer, find_version, rank_command
from hsi_jax.errors import InputError, name_flags
from hsi_jax.hetero import Plan, Profile, make_plan, parse_profile
from hsi_jax.kernels.choice import KERNELS
from hsi_jax.launch.measured_processes import describe_machine, run_measured
from hsi_jax.launch.placement import Placement, place
from hsi_jax.launch.workers import available_cores, free_port

PEERS = {name: peer for name, peer in ALL_PEERS.items() if peer.in_steps}
OURS = ("ideal", "balanced", "measured", "even", "timed", "own work", "sum and update")
RATIOS = (
    ("balanced", "ideal"),
    ("measured", "ideal"),
    ("even", "balanced"),
    ("timed", "balanced"),
    *((peer.label, "balanced") for peer in PEERS.values()),
)

Times = dict[str, float]  # milliseconds by row; and "allowed gain", a ratio


def main() -> None:
    """Prints the machine, the median time of a step in every repeat, and the ratios."""
    arguments = parse_arguments()
    profile, placements = arguments.profile, arguments.placements
    plans = make_plans(profile, arguments.batch_size, arguments.microbatch_size)
    modules = dict.fromkeys(peer.module for peer in PEERS.values())
    versions = {module: find_version(arguments.torch_python, module) for module in modules}
    print(describe_machine(pinned=False))
    print(
        f"load average {os.getloadavg()[0]:.2f} at the start; processes on cores "
        f"{[p.core for p in placements]}, for {[round(p.fraction, 3) for p in placements]} of "
        f"their time; batch {arguments.batch_size}, microbatches of {arguments.microbatch_size}, "
        f"kernels: {arguments.kernels}, samples of each process {plans['balanced'].counts} by "
        f"speed, {plans['even'].counts} even; "
        + ", ".join(f"{name} {found or 'not installed'}" for name, found in versions.items())
        + "\n"
    )
    rounds, watch = [], Watch(arguments.minutes)
    for repeat in range(arguments.repeats):
        if rounds and not watch.left:
            break
        times = time_ours(placements, plans, arguments.steps, arguments.kernels)
        for peer in PEERS.values():
            if versions[peer.module] and watch.left:
                plan = plans[peer.scheme]
                commands = peer_commands(peer, plan, arguments.steps, arguments.torch_python)
                (line,) = run_measured(placements, commands)
                times[peer.label] = median_ms(line["step_seconds"])
        rounds.append(times)
        told = ", ".join(f"{row} {times[row]:.1f}" for row in times if row != "allowed gain")
        print(f"repeat {repeat + 1}, ms: {told}; {watch.describe_load()}", flush=True)
    print(format_times(rounds))
    print(format_ratios(rounds))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the flags; the profile becomes one, with the `placements` of its processes."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--profile", default="2:1:1", help="speeds of the processes")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of all in turn")
    parser.add_argument("--steps", type=int, default=30, help="timed steps in each round")
    parser.add_argument("--batch_size", type=int, default=192, help="samples of a step")
    parser.add_argument("--microbatch_size", type=int, default=16, help="samples, of ours")
    parser.add_argument("--kernels", default="xla", choices=KERNELS, help="of our convolutions")
    parser.add_argument("--torch_python", default=sys.executable, help="a Python that has torch")
    add_minutes(parser)
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
        parser.error(f"--profile={speeds}: {name_flags(str(error), {'profile': 'profile'})}")
    return flags


def make_plans(profile: Profile, batch_size: int, microbatch_size: int) -> dict[str, Plan]:
    """The batch divided evenly, and by speed."""
    return {
        scheme: make_plan(scheme, profile, batch_size, microbatch_size)
        for scheme in ("balanced", "even")
    }


def time_ours(
    placements: Sequence[Placement], plans: dict[str, Plan], steps: int, kernels: str
) -> Times:
    """Medians of our steps, both plans in the same processes, the ideal and where time goes."""
    port = free_port()
    commands = [our_command(rank, port, plans, steps) for rank in range(len(placements))]
    lines = run_measured(placements, [(*command, f"--kernels={kernels}") for command in commands])
    results = dict(zip([*plans, "measured"], lines, strict=True))
    balanced, even = results["balanced"], results["even"]
    rates = np.array(balanced["throughputs"])
    evenly = max(plans["even"].counts / rates)
    ideally = plans["balanced"].batch_size / rates.sum()
    return {
        "ideal": 1e3 * ideally,
        "balanced": median_ms(balanced["step_seconds"]),
        "measured": median_ms(results["measured"]["step_seconds"]),
        "even": median_ms(even["step_seconds"]),
        "timed": median_ms(balanced["timed_step_seconds"]),
        "own work": median_ms(balanced["own_work_seconds"]),
        "sum and update": median_ms(balanced["sum_and_update_seconds"]),
        "allowed gain": evenly / ideally,
    }


def our_command(rank: int, port: int, plans: dict[str, Plan], steps: int) -> tuple[str, ...]:
    """Starts a process of `hsi_jax.simulation.cluster_step`, which takes all plans in turn."""
    some = next(iter(plans.values()))
    shares = [",".join(map(str, plan.shares)) for plan in plans.values()]
    return (
        *(
            sys.executable,
            "-m",
            "hsi_jax.simulation.cluster_step",
            f"--coordinator=localhost:{port}",
        ),
        *(f"--num_processes={len(some.shares)}", f"--process_id={rank}"),
        *(f"--microbatch_size={some.microbatch_size}", f"--steps={steps}", "--shares", *shares),
    )


def peer_commands(peer: Peer, plan: Plan, steps: int, python: str) -> list[tuple[str, ...]]:
    """Start the ranks of a peer, which time their steps."""
    port = free_port()
    return [
        (*rank_command(peer, plan.counts, rank, python=python, port=port), f"--steps={steps}")
        for rank in range(len(plan.counts))
    ]


def median_ms(seconds: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return 1e3 * float(np.median(seconds))


def format_times(rounds: Sequence[Times]) -> str:
    """A row for each competitor: its step in every repeat and the median of these, in ms."""
    numbers = "".join(f"{f'repeat {n}':>10}" for n in range(1, len(rounds) + 1))
    lines = [f"{'median ms a step':28}{numbers}{'median':>10}"]
    for row in (*OURS, *(peer.label for peer in PEERS.values())):
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
    found = [value for value in values if value is not None]
    if not found:
        return f"{'not measured':>15}"
    return "".join(f"{value:10.{digits}f}" for value in (*found, float(np.median(found))))


if __name__ == "__main__":
    main()
