"""Speeds of the devices: measured before training, and again while it runs."""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field

import jax
import numpy as np

from hsi_jax.cluster.exchange import add, devices_of_processes, gather, lost_devices
from hsi_jax.cluster.processes import barrier, gather_hosts
from hsi_jax.hetero import Plan, Profile, Work, deal, make_plan, parse_profile
from hsi_jax.hetero.controller import Controller
from hsi_jax.hetero.plan import plan_of_shares
from hsi_jax.hetero.redeal import plan_without, profile_without
from hsi_jax.hetero.timing import Timing, fit_timing, profile_of, time_calls
from hsi_jax.run.summary_devices import TimedStep
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import local_step
from hsi_jax.train.stepper import ready_seconds

REPEATS = 5
MIN_SECONDS = 0.1  # a throttled process rests by turns, which a shorter time may miss

SOON = 2  # steps to the next timed step while the devices are not as expected
SETTLING = 10  # steps after a regular timed step in which that may be


def measure_profile(
    replicas: Replicas, state: TrainState, ids: np.ndarray, microbatch_size: int
) -> Profile:
    """Times each device's own microbatches, without communication, and gathers one profile.

    All devices measure at the same time, so that what they share (cores, caches, memory) is
    shared as it will be in training. The times at a quarter, half and all of a batch's microbatches
    give t(n) = a + b * n.

    Args:
        replicas: the devices.
        state: not replicated; it is not changed.
        ids: sample ids of one batch, int32 [B].
        microbatch_size: samples of a microbatch, m.

    Returns:
        The same profile in every process, in microbatches per second and seconds.
    """
    work = _whole_batch_for_each(ids, microbatch_size, replicas.count)
    live = replicas.replicate(state)
    samples, _ = replicas.ready(work)
    step = replicas.parallel(local_step).lower(live, samples, replicas.place(work)).compile()

    def run(count, passes=1):
        """Seconds of each of this process's devices."""
        counted = replicas.place(work.replace(count=np.full_like(work.count, count)))
        seconds = np.zeros(replicas.count)
        for _ in range(passes):
            seconds += ready_seconds(
                replicas, step(live, samples, counted)[0], start=time.perf_counter()
            )
        return seconds[replicas.own]

    whole = work.ids.shape[1]
    sizes = sorted({max(1, whole // 4), max(1, whole // 2), whole})
    barrier()  # all begin together
    run(sizes[0])
    passes = math.ceil(MIN_SECONDS / np.median([run(sizes[0]).max() for _ in range(3)]))
    # All sizes are timed once before any is timed again, so that a drift hits them alike.
    repeats = [[run(size, passes) / passes for size in sizes] for _ in range(REPEATS + 1)]
    seconds = np.array(repeats[1:])  # [repeats, sizes, devices]
    rows = np.zeros((replicas.count, 3))
    for number, of_device in zip(replicas.own, np.moveaxis(seconds, 2, 0), strict=True):
        own = fit_timing(sizes, of_device.T)
        rows[number] = own.fixed_cost, own.per_microbatch, own.spread
    timings = [Timing(*row) for row in add(rows).tolist()]
    return profile_of(timings, name_devices()[: replicas.count])


def name_devices() -> list[str]:
    """A name for every device: its machine and process, and its number where it is not alone."""
    return [
        f"{host} {process}" + (f".{number}" if count > 1 else "")
        for process, (host, count) in enumerate(
            zip(gather_hosts(), devices_of_processes(), strict=True)
        )
        for number in range(count)
    ]


def measure_throughputs(
    replicas: Replicas, state: TrainState, ids: np.ndarray, sizes: Sequence[int]
) -> dict[int, float]:
    """Measures how many samples the devices do together in microbatches of several sizes.

    All devices work at the same time, again and again, without communication. Emulated devices
    share their machine, so that what is measured is the machine's throughput.

    Args:
        replicas: the devices.
        state: not replicated; it is not changed.
        ids: sample ids to work on, int32 [n], n >= 1.
        sizes: microbatch sizes.

    Returns:
        Samples per second of each size, the same in every process.
    """
    live = replicas.replicate(state)
    ids = np.resize(ids, max(sizes))  # as many samples at every size
    own = len(replicas.own)
    step = replicas.parallel(local_step)
    rates = {}
    for size in sizes:
        ready = replicas.ready(_whole_batch_for_each(ids, size, replicas.count))
        compiled = step.lower(live, *ready).compile()

        def run(passes, compiled=compiled, ready=ready):
            for _ in range(passes):
                jax.block_until_ready(compiled(live, *ready))

        barrier()  # all begin together
        passes = math.ceil(MIN_SECONDS / np.median(time_calls(run, [1], 3)))
        seconds = np.median(time_calls(run, [passes], REPEATS)) / passes
        samples = own * _num_measured(len(ids), size)
        rates[size] = float(gather(np.array(samples / seconds, np.float32)).sum(dtype=np.float64))
    return rates


def _whole_batch_for_each(ids: np.ndarray, microbatch_size: int, devices: int) -> Work:
    """Work in which every device holds the whole batch, at least two microbatches."""
    ids = np.resize(ids, _num_measured(len(ids), microbatch_size))
    one = deal(ids, make_plan("even", parse_profile("1"), len(ids), microbatch_size))
    return jax.tree.map(lambda array: np.repeat(array, devices, axis=0), one)


def _num_measured(samples: int, microbatch_size: int) -> int:
    """How many samples are measured: at least two microbatches."""
    return max(samples, 2 * microbatch_size)


@dataclass
class Rebalancing:
    """Times one step in `every` and, with a controller, moves shares when that pays.

    While the controller is not settled, the step after the next is timed as well, for at most
    `SETTLING` steps, so that shares follow a change of speed without waiting for `every` steps.

    Attributes:
        controller: decides from gathered times alone, so that every process decides alike; or
            None, to time the devices and keep their shares.
        every: steps from one regular timed step to the next.
        records: the timed steps so far.
    """

    controller: Controller | None
    every: int
    records: list[TimedStep] = field(default_factory=list)
    _again: int = -1

    def state(self, plan: Plan) -> dict | None:
        """What a checkpoint must hold for `resume`, as JSON can hold it; None if shares stay."""
        if self.controller is None:
            return None
        return {
            "guess": self.controller.guess.to_json(),
            "shares": list(plan.shares),
            "controller": self.controller.state(),
            "records": [asdict(record) for record in self.records],
        }

    def resume(self, state: dict, plan: Plan) -> Plan:
        """Goes on where `state` was taken, if the guess of the devices is still the same.

        Other devices, or speeds measured anew, are a new beginning: nothing is taken over.

        Returns:
            The plan to go on with.
        """
        controller = self.controller
        if controller is None or state["guess"] != controller.guess.to_json():
            return plan
        sizes = {
            "batch_size": controller.batch_size,
            "microbatch_size": controller.microbatch_size,
        }
        self.controller = Controller.from_state(
            state["controller"],
            controller.guess,
            **sizes,
            dead_band=controller.dead_band,
            hysteresis=controller.hysteresis,
        )
        self.records = [TimedStep(**record) for record in state["records"]]
        return plan_of_shares(plan.scheme, controller.guess, tuple(state["shares"]), **sizes)

    def leave_out(self, lost: Collection[int]) -> None:
        """Lets lost devices take no part in further plans."""
        old = self.controller
        if old is not None:
            self.controller = Controller.from_state(
                old.state(),
                profile_without(old.guess, lost),
                old.batch_size,
                old.microbatch_size,
                dead_band=old.dead_band,
                hysteresis=old.hysteresis,
            )

    def is_due(self, step: int) -> bool:
        """Whether this step is timed."""
        return (step + 1) % self.every == 0 or step == self._again

    def observe(self, step: int, plan: Plan, seconds: np.ndarray) -> Plan:
        """The plan for the steps to come, given the devices' times in this one."""
        new = plan
        if self.controller:
            new = self.controller.observe(plan.shares, seconds) or plan
            soon = (step + 1) % self.every + SOON <= SETTLING
            self._again = step + SOON if soon and not self.controller.settled else -1
        record = TimedStep(step=step, device_seconds=seconds.tolist(), shares=list(new.shares))
        self.records.append(record)
        return new


def plan_of_survivors(plan: Plan, rebalancing: Rebalancing | None) -> Plan:
    """The plan for the steps to come, in which devices that were lost have no share.

    With a scheme whose result depends on the shares, the plan stays: in each step, what it deals to
    lost devices is computed by the others, with the weights of the lost ones (`Salvage`).
    """
    lost = lost_devices()
    if not plan.scheme.exact or not any(plan.shares[device] for device in lost):
        return plan
    if rebalancing:
        rebalancing.leave_out(lost)
    return plan_without(plan, lost)
