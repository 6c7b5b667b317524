"""One process of several that train on the small scene; `test_cluster_fit` starts them.

    python -m tests.train.cluster_fit '{"address": ..., "count": 2, "rank": 0, ...}'

It prints what it found as a line of JSON.
"""

import hashlib
import json
import os
import signal
import sys
import time

import jax
import numpy as np
import optax

from hsi_jax.cluster.exchange import devices_of_processes, losses, lost_processes, rank, reduction
from hsi_jax.cluster.mpi import join_survivors
from hsi_jax.cluster.processes import join_cluster
from hsi_jax.errors import AuditError, DriftError
from hsi_jax.evaluate.measures.straggler import find_straggler
from hsi_jax.hetero import make_plan, parse_profile
from hsi_jax.models import find_model
from hsi_jax.run.summary_devices import TimelineStep
from hsi_jax.train import (
    Course,
    Patches,
    Rebalancing,
    Replicas,
    Stream,
    create_state,
    evaluate,
    fit,
    host_stepper,
    salvage,
    stepper,
)
from hsi_jax.train.audit import Auditing, find_kinds
from hsi_jax.train.feed import Feed
from hsi_jax.train.step_clock import PHASES, StepClock
from tests.train.small_scene import BANDS, CLASSES, COLUMNS, ROWS, Watcher

IDS = np.arange(0, 150, 2, dtype=np.int32)
STEPS = 9


class Seesaw:
    """Stands for a controller that moves the shares at every observation."""

    settled = True

    def __init__(self, devices):
        self.devices, self.seen = devices, 0

    def observe(self, shares, seconds):
        assert len(seconds) == len(shares) == self.devices
        assert all(second > 0 for second in seconds)
        self.seen += 1
        speeds = [(5, 1, 0, 2), (0, 1, 5, 3)][self.seen % 2][: self.devices]
        return make_plan("adaptive", parse_profile(":".join(map(str, speeds))), 42, 4)


def bits_of(tree) -> str:
    leaves = jax.tree.leaves(tree)
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


def plant(fault: str, cube, labels) -> None:
    """Lets this process learn from other data."""
    if fault == "labels":
        labels[:] = (labels + 1) % CLASSES
    elif fault == "cube":
        cube[4, 4, 3] += 0.5


def slow_down(phase: str, seconds: float) -> None:
    """Makes this process slower in one phase of each step."""

    def later(call):
        def slowly(*args, **kwargs):
            time.sleep(seconds)
            return call(*args, **kwargs)

        return slowly

    if phase == "reading":
        Feed._ready = later(Feed._ready)
    elif phase == "computing":
        stepper.ready_seconds = host_stepper.ready_seconds = later(stepper.ready_seconds)
    else:
        update_ends = later(StepClock.ends)
        ends = StepClock.ends
        StepClock.ends = lambda self, name: (update_ends if name == phase else ends)(self, name)


def find_slow(fitted, rebalancing, plan, names):
    """The device and the phase for which the others waited, as of summary.json."""
    times = np.moveaxis(fitted.phases, 2, 1).astype(float)  # one device each
    timeline = [
        TimelineStep(
            step=record.step,
            began=[],
            worked=[],
            ended=[],
            phases=dict(zip(PHASES, of_step.tolist(), strict=True)),
        )
        for record, of_step in zip(rebalancing.records, times, strict=True)
    ]
    found = find_straggler(rebalancing.records, plan.shares, names, timeline)
    return found and [found.device, found.phase]


def train(asked, cube, labels, scheme, save):
    """The fit of a scheme, and what it says of itself."""
    profile = parse_profile(asked["profile"])
    plan = make_plan(scheme, profile, 42, 4)
    samples = Patches.of_scene(cube, labels, 3)
    if asked.get("streamed"):
        flat = np.random.default_rng(4).normal(size=(ROWS * COLUMNS, 3, 3, BANDS))
        samples = Stream(lambda ids: (flat[ids].astype(np.float32), labels.ravel()[ids]))
    module = find_model("cnn2d")(CLASSES, features=(4, 4), hidden=8)
    state = create_state(module, optax.sgd(0.05, momentum=0.9), (3, 3, BANDS), seed=3)
    replicas = Replicas(len(profile), samples)
    rebalancing = Rebalancing(Seesaw(len(profile)), 2) if scheme == "adaptive" else None
    if "slow" in asked:
        rebalancing = Rebalancing(None, 2)
    fitted = fit(
        replicas,
        state,
        Course.shuffled(
            IDS,
            42,
            asked.get("steps", STEPS),
            seed=1,
            save_every=asked.get("save_every", 0),
            check_every=asked.get("check_every", 3),
        ),
        plan=plan,
        hooks=[Watcher(save=save)],
        rebalancing=rebalancing,
        auditing=Auditing(asked["audit"], 1, find_kinds(replicas)) if "audit" in asked else None,
    )
    assessed = evaluate(
        replicas,
        fitted.state,
        np.arange(150, dtype=np.int32),
        labels.ravel(),
        num_classes=CLASSES,
        profile=profile,
        plan=plan,
    )
    return {
        "losses": fitted.losses,
        "params": bits_of((fitted.state.params, fitted.state.batch_stats)),
        "classes": bits_of(assessed.classes),
        "loss": assessed.loss,
        "microbatches": list(fitted.microbatches),
        "slow": find_slow(fitted, rebalancing, plan, profile.names) if "slow" in asked else None,
        "timed": [record.step for record in rebalancing.records] if rebalancing else [],
    }


def corrupt(part: str, at_step: int) -> None:
    """Makes both steppers flip one bit of a part of the state, on one device, after a step."""

    def wrap(kind):
        taken = kind.step

        def step(self, live, ready):
            live, loss = taken(self, live, ready)
            self.taken = getattr(self, "taken", 0) + 1
            if self.taken == at_step:
                leaves, tree = jax.tree.flatten(getattr(live, part))
                leaf = leaves[0]
                shards = [np.array(shard.data) for shard in leaf.addressable_shards]
                shards[0].view(np.int32).flat[1] ^= 1
                parts = [
                    jax.device_put(data, shard.device)
                    for data, shard in zip(shards, leaf.addressable_shards, strict=True)
                ]
                leaves[0] = jax.make_array_from_single_device_arrays(
                    leaf.shape, leaf.sharding, parts
                )
                live = live.replace(**{part: jax.tree.unflatten(tree, leaves)})
            return live, loss

        kind.step = step

    wrap(stepper.Stepper)
    wrap(host_stepper.HostStepper)


def die_in(operation: int) -> None:
    """Kills this process in the middle of what it does with the others for the n-th time."""
    from hsi_jax.cluster.survivors import Survivors

    complete, seen = Survivors._complete, []

    def die(self, begin):
        seen.append(self.must_survive)
        if sum(seen) == operation:
            begin(self._comm)
            os.kill(os.getpid(), signal.SIGKILL)
        return complete(self, begin)

    Survivors._complete = die


def die_as_another_has() -> None:
    """Kills this process while it makes good what another one was to compute."""

    redeal = salvage.Salvage._redeal

    def die(self):
        if lost_processes():
            os.kill(os.getpid(), signal.SIGKILL)
        redeal(self)

    salvage.Salvage._redeal = die


def join_by_mpi(asked) -> None:
    """Joins, and prepares the death that is meant for this process."""
    number = asked["rank"] = int(os.environ["OMPI_COMM_WORLD_RANK"])
    devices = asked["devices"][number]
    join_survivors(devices_per_process=devices, reduce=asked.get("reduce", "auto"), lost_after=30)
    if operation := asked.get("die", {}).get(str(number)):
        die_in(operation)
    if number == asked.get("die_as_another_has"):
        die_as_another_has()


def main(asked) -> dict:
    if asked.get("engine") == "mpi":
        join_by_mpi(asked)
    elif asked["count"] > 1:
        join_cluster(
            asked["address"],
            asked["count"],
            asked["rank"],
            devices_per_process=asked["devices"],
            reduce=asked.get("reduce", "auto"),
        )
    else:
        jax.config.update("jax_num_cpu_devices", asked["devices"])
    cube = np.random.default_rng(1).normal(size=(ROWS, COLUMNS, BANDS)).astype(np.float32)
    labels = np.random.default_rng(2).integers(0, CLASSES, (ROWS, COLUMNS)).astype(np.int32)
    told = {"rank": rank(), "reduction": reduction(), "devices": devices_of_processes()}
    if asked.get("corrupt") == asked["rank"]:
        corrupt(asked["part"], asked["corrupt_at"])
    if asked.get("planted") == asked["rank"]:
        plant(asked["fault"], cube, labels)
    if asked["rank"] == asked.get("slow_rank"):
        slow_down(asked["slow"], 0.3)
    saved = []
    try:
        for scheme in asked["schemes"]:
            told[scheme] = train(asked, cube, labels, scheme, save=lambda p: saved.append(p.step))
    except (AuditError, DriftError) as error:
        told["drift"] = str(error)
    told["saved"] = saved
    told["lost"] = [[loss.process, loss.step] for loss in losses()]
    return told


if __name__ == "__main__":
    told = main(json.loads(sys.argv[1]))
    os.write(1, (json.dumps(told) + "\n").encode())  # so that lines of processes do not mix
