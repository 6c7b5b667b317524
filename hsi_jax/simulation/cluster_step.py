"""One process of a cluster that times our training step; `benchmarks.distributed` starts them.

    python -m hsi_jax.simulation.cluster_step --coordinator localhost:1234 --num_processes 3
        --process_id 0 --shares 12,6,6 8,8,8 --microbatch_size 8 [--kernels native]

Process 0 prints `ready` when all is compiled and, for each of the shares, a line of JSON:

- `shares`: microbatches of each process;
- `throughputs`: samples a second of each process while all compute and none communicates;
- `step_seconds`: of each step, from dividing the batch to knowing its loss, as in training;
- `timed_step_seconds`: of each step that measures the devices;
- `own_work_seconds`, `sum_and_update_seconds`: of these steps, until the last process has done its
  own work, and from then on.

A last line tells of the shares by the throughputs that the first line tells, with the same batch.
"""

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from hsi_jax.cluster.processes import barrier, gather, join_cluster, rank
from hsi_jax.hetero import Plan, deal, make_plan, parse_profile
from hsi_jax.kernels.choice import KERNELS, use_kernels
from hsi_jax.launch.measured_processes import READY
from hsi_jax.models import find_model
from hsi_jax.train import Patches, Replicas, create_state, make_optimizer, make_schedule
from hsi_jax.train.replicas import Ready
from hsi_jax.train.step import local_step
from hsi_jax.train.stepper import gather_stamps
from hsi_jax.train.surviving_stepper import make_stepper

PATCH_SIZE = 11
SCENE = (64, 64, 30)  # rows, columns, bands
NUM_CLASSES = 9
LEARNING_RATE = 0.1
MOMENTUM = 0.9
FREE_SECONDS = 4.0  # for which throughputs are measured


def main() -> None:
    """Joins the other processes, times all shares in turn and prints the times in process 0."""
    arguments = parse_arguments()
    join_cluster(arguments.coordinator, arguments.num_processes, arguments.process_id)
    use_kernels(arguments.kernels)
    plans = [make_shares(shares, arguments.microbatch_size) for shares in arguments.shares]
    training = Training(plans[0], timed=True)
    barrier()
    if rank() == 0:
        print(READY, flush=True)
    lines = [training.measure(plan, arguments.warmup, arguments.steps) for plan in plans]
    measured = plan_by_speed(lines[0]["throughputs"], plans[0])
    lines.append(training.measure(measured, arguments.warmup, arguments.steps))
    if rank() == 0:
        for line in lines:
            print(json.dumps(line), flush=True)


def parse_arguments() -> argparse.Namespace:
    """Reads the flags."""
    parser = argparse.ArgumentParser(description="One process that times our training step.")
    parser.add_argument("--coordinator", required=True, help="host:port of process 0")
    parser.add_argument("--num_processes", type=int, required=True)
    parser.add_argument("--process_id", type=int, required=True, help="from 0")
    parser.add_argument("--shares", nargs="+", required=True, help="microbatches of each: 12,6,6")
    parser.add_argument("--microbatch_size", type=int, required=True, help="samples")
    parser.add_argument("--kernels", default="xla", choices=KERNELS, help="of convolutions")
    parser.add_argument("--steps", type=int, default=30, help="timed steps of each shares")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them")
    return parser.parse_args()


def make_shares(shares: str, microbatch_size: int) -> Plan:
    """The balanced plan with exactly these shares, such as "12,6,6".

    It is the plan of devices whose speeds are these numbers.
    """
    profile = parse_profile(shares.replace(",", ":"))
    return make_plan(
        "balanced", profile, round(sum(profile.speeds)) * microbatch_size, microbatch_size
    )


def plan_by_speed(throughputs: Sequence[float], plan: Plan) -> Plan:
    """The balanced plan by measured throughputs, for the batch and microbatches of another plan."""
    profile = parse_profile(":".join(map(str, throughputs)))
    return make_plan("balanced", profile, plan.batch_size, plan.microbatch_size)


class Training:
    """The cnn2d on a random scene, one device in each process; it goes on from step to step.

    Attributes:
        replicas: the devices.
        state: the first state, not replicated.
        ids: sample ids of a batch, int32 [B].
    """

    def __init__(self, plan: Plan, timed: bool = False):
        """Makes the scene and compiles the step.

        Args:
            plan: any one with the devices, batch and microbatches of those to come.
            timed: whether to compile the parts of the step as well.
        """
        rng = np.random.default_rng(0)
        cube = rng.normal(size=SCENE).astype(np.float32)
        labels = rng.integers(0, NUM_CLASSES, SCENE[:2]).astype(np.int32)
        patches = Patches.of_scene(cube, labels, PATCH_SIZE)
        self.replicas = Replicas(len(plan.shares), patches)
        optimizer = make_optimizer("sgd", make_schedule("constant", LEARNING_RATE, 1), MOMENTUM)
        module = find_model("cnn2d")(num_classes=NUM_CLASSES)
        self.state = create_state(module, optimizer, (PATCH_SIZE, PATCH_SIZE, SCENE[2]), seed=0)
        self.ids = rng.permutation(labels.size)[: plan.batch_size].astype(np.int32)
        self._live = self.replicas.replicate(self.state)
        given = self._ready(plan)
        self._stepper = make_stepper(self.replicas, self._live, given, timed=timed)
        if timed:
            local: Any = self.replicas.parallel(local_step)  # it has JAX's lower
            self._local = local.lower(self._live, *given).compile()

    def measure(self, plan: Plan, warmup: int, steps: int) -> dict[str, Any]:
        """All that is measured of these shares; see above."""
        return {
            "shares": list(plan.shares),
            "throughputs": self.measure_own_throughputs(plan),
            "step_seconds": self.time_steps(plan, warmup, steps),
            **self.time_parts(plan, steps),
        }

    def measure_own_throughputs(self, plan: Plan) -> list[float]:
        """Samples a second of each process; all compute at the same time, again and again.

        No process waits for another, so the cores, caches and memory that they share are shared
        all the time. The sum is the rate of a machine that loses nothing by dividing the batch.
        """
        given = self._ready(plan)
        jax.block_until_ready(self._local(self._live, *given))
        barrier()  # all begin together
        calls = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < FREE_SECONDS:
            jax.block_until_ready(self._local(self._live, *given))
            calls += 1
        return gather(np.array(calls * plan.counts[rank()] / elapsed, np.float32)).tolist()

    def time_steps(self, plan: Plan, warmup: int, steps: int) -> list[float]:
        """Seconds of each of this many steps after the warm-up."""
        seconds, loss = [], 0.0
        for _ in range(warmup + steps):
            start = time.perf_counter()
            self._live, loss = self._stepper.step(self._live, self._ready(plan))
            seconds.append(time.perf_counter() - start)
        if not np.isfinite(loss):
            raise FloatingPointError("the loss of the benchmark is not finite")
        return seconds[warmup:]

    def time_parts(self, plan: Plan, steps: int) -> dict[str, list[float]]:
        """Seconds of this many steps that measure the devices, and of their parts."""
        seconds = []
        for _ in range(steps):
            start = time.perf_counter()
            self._live, _, _ = self._stepper.timed_step(self._live, self._ready(plan))
            seconds.append(time.perf_counter() - start)
        stamps = gather_stamps([clock.stamp for clock in self._stepper.clocks])
        began, worked, ended = np.moveaxis(stamps[-steps:], 2, 0)
        own = worked.max(axis=1) - began.min(axis=1)
        rest = ended.max(axis=1) - worked.max(axis=1)
        return {
            "timed_step_seconds": seconds,
            "own_work_seconds": own.tolist(),
            "sum_and_update_seconds": rest.tolist(),
        }

    def _ready(self, plan: Plan) -> Ready:
        return self.replicas.ready(deal(self.ids, plan))


if __name__ == "__main__":
    main()
