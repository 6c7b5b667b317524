"""One process of the check of the simulation; `hsi_jax.simulation.check` starts them.

Process 0 prints a line of JSON:

- `profile`: t(n) of each process, measured while all compute and none communicates;
- `all_reduce`: bytes of vectors, and seconds of their all-reduce;
- `balanced`, `even`: the shares, and seconds of each step, as in training.
"""

import argparse
import json
from typing import Any

import jax
import numpy as np
from jax import lax

from hsi_jax.cluster.processes import barrier, join_cluster, rank
from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.hetero.simulation import BYTES_PER_SUM, message_bytes
from hsi_jax.hetero.timing import time_calls
from hsi_jax.simulation.cluster_step import Training
from hsi_jax.train import measure_profile
from hsi_jax.train.step import AXIS

BATCH_SIZE = 192
MICROBATCH_SIZE = 8
CHAINED = 8  # all-reduces of a program, so that starting it hardly counts
REPEATS = 15
WARMUP = 5
SIZES = (1 / 8, 1 / 4, 1 / 2, 1)  # of the vectors, by that of the model


def main() -> None:
    """Joins the other processes, measures, and prints the result in process 0."""
    parser = argparse.ArgumentParser(description="One process of the check.")
    parser.add_argument("--coordinator", required=True, help="host:port of process 0")
    parser.add_argument("--num_processes", type=int, required=True)
    parser.add_argument("--process_id", type=int, required=True, help="from 0")
    parser.add_argument("--steps", type=int, required=True, help="timed steps of each scheme")
    arguments = parser.parse_args()
    join_cluster(arguments.coordinator, arguments.num_processes, arguments.process_id)
    measured = measure(arguments.num_processes, arguments.steps)
    if rank() == 0:
        print(json.dumps(measured), flush=True)


def measure(devices: int, steps: int) -> dict[str, Any]:
    """The measurements of the module's docstring; every process must call it."""
    like = parse_profile(":".join("1" * devices))
    plan = make_plan("even", like, BATCH_SIZE, MICROBATCH_SIZE)
    training = Training(plan)
    profile = measure_profile(training.replicas, training.state, training.ids, MICROBATCH_SIZE)
    measured = {"profile": profile.to_json(), "all_reduce": measure_all_reduce(training)}
    for scheme in ("balanced", "even"):
        plan = make_plan(scheme, profile, BATCH_SIZE, MICROBATCH_SIZE)
        seconds = training.time_steps(plan, WARMUP, steps)
        measured[scheme] = {"shares": plan.shares, "seconds": seconds}
    return measured


def measure_all_reduce(training: Training) -> dict[str, list]:
    """Bytes of the model's vector and of parts of it, and seconds of their all-reduces."""
    replicas, state = training.replicas, training.state
    values = 1 + sum(leaf.size for leaf in jax.tree.leaves((state.params, state.batch_stats)))
    lengths = [round(part * message_bytes(values) / BYTES_PER_SUM) for part in SIZES]
    reduce = replicas.parallel(chain)
    vectors = {
        length: replicas.place(np.zeros((replicas.count, length), np.int32)) for length in lengths
    }
    barrier()  # all begin together
    seconds = time_calls(
        lambda length: jax.block_until_ready(reduce(vectors[length])), lengths, REPEATS
    )
    return {
        "bytes": [BYTES_PER_SUM * length for length in lengths],
        "seconds": (seconds / CHAINED).tolist(),
    }


def chain(own: jax.Array) -> jax.Array:
    """Several all-reduces, each of the result of the last."""
    sums = own
    for _ in range(CHAINED):
        sums = lax.psum(sums, AXIS) + own
    return sums[:1]


if __name__ == "__main__":
    main()
