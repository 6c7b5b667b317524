"""Sums added by the hosts, against sums added by the program: the time of a step, in turn.

    python -m benchmarks.reduction [--repeats 5] [--steps 20] [--batch_size 192]

Two processes, each with one CPU device, one thread and a core of its own, train the cnn2d on
batches of samples of 11x11x30, half of them each. Both ways run in the same processes in turn, so
that a busy moment hits them alike. `--reduce=host` is meant for platforms that are unlike; on like
ones, as here, the ratio is what it costs.
"""

import argparse
import json
import sys
from dataclasses import replace

import numpy as np

from benchmarks.measure import first_line
from hsi_jax.cluster.exchange import Membership, set_membership
from hsi_jax.cluster.processes import barrier, join_cluster, rank
from hsi_jax.launch.measured_processes import READY, describe_machine, run_measured
from hsi_jax.launch.placement import place
from hsi_jax.launch.workers import available_cores, free_port
from hsi_jax.simulation.cluster_step import Training, make_shares

MICROBATCH_SIZE = 16
WARMUP = 3


def main() -> None:
    """Prints the machine, the median time of a step in every repeat, and the ratio."""
    arguments = parse_arguments()
    if arguments.process_id is not None:
        measure(arguments)
        return
    print(describe_machine(pinned=False))
    flags = [f"--{name}={getattr(arguments, name)}" for name in ("repeats", "steps", "batch_size")]
    command = [sys.executable, "-m", "benchmarks.reduction", *flags, f"--port={free_port()}"]
    commands = [[*command, f"--process_id={number}"] for number in range(2)]
    (line,) = run_measured(place((1.0, 1.0), available_cores()), commands)
    device, host = np.array(line["device"]), np.array(line["host"])
    for name, times in ("device", device), ("host", host), ("host / device", host / device):
        cells = "".join(f"{value:9.3f}" for value in (*times, np.median(times)))
        print(f"{name:14}{cells}  (the last is the median)")


def parse_arguments() -> argparse.Namespace:
    """Reads the flags; the last two are those of a process that was started here."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--repeats", type=int, default=5, help="rounds of both in turn")
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each in a round")
    parser.add_argument("--batch_size", type=int, default=192, help="samples of a step")
    parser.add_argument("--process_id", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(arguments: argparse.Namespace) -> None:
    """One of the two processes; process 0 prints the medians, in ms, as a line of JSON."""
    join_cluster(f"localhost:{arguments.port}", 2, arguments.process_id, reduce="device")
    half = arguments.batch_size // MICROBATCH_SIZE // 2
    plan = make_shares(f"{half},{half}", MICROBATCH_SIZE)
    trainings = {}
    for way in ("device", "host"):
        set_membership(replace(Membership(), reduce=way, devices=(1, 1)))
        trainings[way] = Training(plan)
    barrier()
    if rank() == 0:
        print(READY, flush=True)
    times = {way: [] for way in trainings}
    for _ in range(arguments.repeats):
        for way, training in trainings.items():
            seconds = training.time_steps(plan, WARMUP, arguments.steps)
            times[way].append(1e3 * float(np.median(seconds)))
    if rank() == 0:
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
