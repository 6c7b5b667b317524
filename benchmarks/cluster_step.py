"""One process of a cluster that times our training step; `benchmarks.distributed` starts them.

    python -m benchmarks.cluster_step --coordinator localhost:1234 --num_processes 3
        --process_id 0 --shares 12,6,6 8,8,8 --microbatch_size 8

Process 0 prints `ready` when all is compiled and, for each of the shares, a line of JSON:

- `throughputs`: samples a second of each process while all compute and none communicates;
- `step_seconds`: of each step, from dealing the batch to knowing its loss, as in training;
- `timed_step_seconds`: likewise, of steps that measure the devices;
- `own_work_seconds`, `sum_and_update_seconds`: of these steps, until the last process has done its
  own work, and from then on.
"""

import argparse
import json
import time
from collections.abc import Callable

import jax
import numpy as np

from hsi_jax.hetero import Plan, Work, deal, make_plan, parse_profile
from hsi_jax.hetero.cluster import gather, join_cluster, meet, rank
from hsi_jax.models import find_model
from hsi_jax.train import Replicas, TrainState, create_state, make_optimizer, make_schedule
from hsi_jax.train.patches import Patches
from hsi_jax.train.step import local_step
from hsi_jax.train.stepper import Stepper
from hsi_jax.train.timeline import gather_stamps

PATCH_SIZE = 11
SCENE = (64, 64, 30)  # rows, columns, bands
NUM_CLASSES = 9
LEARNING_RATE = 0.1
MOMENTUM = 0.9
FREE_SECONDS = 4.0  # for which throughputs are measured


def main() -> None:
    """Joins the other processes, times all shares in turn and prints it in process 0."""
    arguments = parse_arguments()
    join_cluster(arguments.coordinator, arguments.num_processes, arguments.process_id)
    plans = [make_shares(shares, arguments.microbatch_size) for shares in arguments.shares]
    replicas, state, ids = make_training(plans[0])
    live = replicas.replicate(state)
    stepper = Stepper(replicas, live, replicas.ready(deal(ids, plans[0])), timed=True)
    local = compile_local_step(replicas, live, deal(ids, plans[0]))
    meet()
    if rank() == 0:
        print("ready", flush=True)
    for plan in plans:
        throughputs = measure_throughputs(replicas, local, live, plan, ids)
        live, seconds = time_steps(
            stepper, replicas, live, plan, ids, arguments.warmup, arguments.steps
        )
        live, parts = time_parts(stepper, replicas, live, plan, ids, arguments.steps)
        if rank() == 0:
            line = {"throughputs": throughputs, "step_seconds": seconds, **parts}
            print(json.dumps(line), flush=True)


def parse_arguments() -> argparse.Namespace:
    """Reads the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coordinator", required=True, help="host:port of process 0")
    parser.add_argument("--num_processes", type=int, required=True)
    parser.add_argument("--process_id", type=int, required=True, help="from 0")
    parser.add_argument("--shares", nargs="+", required=True, help="microbatches of each: 12,6,6")
    parser.add_argument("--microbatch_size", type=int, required=True, help="samples")
    parser.add_argument("--steps", type=int, default=30, help="timed steps of each shares")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them")
    return parser.parse_args()


def make_shares(shares: str, microbatch_size: int) -> Plan:
    """The balanced plan with just these shares: it is that of devices with speeds like them."""
    profile = parse_profile(shares.replace(",", ":"))
    return make_plan(
        "balanced", profile, round(sum(profile.speeds)) * microbatch_size, microbatch_size
    )


def make_training(plan: Plan) -> tuple[Replicas, TrainState, np.ndarray]:
    """The cnn2d and a random scene on this process's device, and the sample ids of one batch."""
    rng = np.random.default_rng(0)
    cube = rng.normal(size=SCENE).astype(np.float32)
    labels = rng.integers(0, NUM_CLASSES, SCENE[:2]).astype(np.int32)
    profile = parse_profile(":".join("1" * len(plan.shares)))
    replicas = Replicas(profile, plan, Patches.of_scene(cube, labels, PATCH_SIZE))
    optimizer = make_optimizer("sgd", make_schedule("constant", LEARNING_RATE, 1), MOMENTUM)
    module = find_model("cnn2d")(num_classes=NUM_CLASSES)
    state = create_state(module, optimizer, (PATCH_SIZE, PATCH_SIZE, SCENE[2]), seed=0)
    return replicas, state, rng.permutation(labels.size)[: plan.batch_size].astype(np.int32)


def compile_local_step(replicas: Replicas, live: TrainState, work: Work) -> Callable:
    """The part of the step before communication, compiled."""
    return replicas.pmap(local_step).lower(live, *replicas.ready(work)).compile()


def measure_throughputs(
    replicas: Replicas, local: Callable, live: TrainState, plan: Plan, ids: np.ndarray
) -> list[float]:
    """Samples a second of each process; all compute at the same time, again and again.

    Nobody waits for anybody, so that what processes share (cores, caches, memory) is shared all
    the time. The sum is the rate of a machine that loses nothing by dividing the batch.
    """
    ready = replicas.ready(deal(ids, plan))
    jax.block_until_ready(local(live, *ready))
    meet()  # all begin together
    calls = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < FREE_SECONDS:
        jax.block_until_ready(local(live, *ready))
        calls += 1
    return gather(np.float32(calls * plan.counts[rank()] / elapsed)).tolist()


def time_steps(
    stepper: Stepper,
    replicas: Replicas,
    live: TrainState,
    plan: Plan,
    ids: np.ndarray,
    warmup: int,
    steps: int,
) -> tuple[TrainState, list[float]]:
    """Seconds of each step after the warm-up; `live` is consumed and its successor returned."""
    seconds = []
    for _ in range(warmup + steps):
        start = time.perf_counter()
        live, loss = stepper.step(live, replicas.ready(deal(ids, plan)))
        seconds.append(time.perf_counter() - start)
    if not np.isfinite(loss):
        raise FloatingPointError("the loss of the benchmark is not finite")
    return live, seconds[warmup:]


def time_parts(
    stepper: Stepper, replicas: Replicas, live: TrainState, plan: Plan, ids: np.ndarray, steps: int
) -> tuple[TrainState, dict[str, list[float]]]:
    """Seconds of steps that measure the devices, and of their parts; consumes `live`."""
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        live, _, _ = stepper.timed_step(live, replicas.ready(deal(ids, plan)))
        seconds.append(time.perf_counter() - start)
    began, worked, ended = np.moveaxis(gather_stamps(stepper.stamps)[-steps:], 2, 0)
    own = worked.max(axis=1) - began.min(axis=1)
    rest = ended.max(axis=1) - worked.max(axis=1)
    return live, {
        "timed_step_seconds": seconds,
        "own_work_seconds": own.tolist(),
        "sum_and_update_seconds": rest.tolist(),
    }


if __name__ == "__main__":
    main()
