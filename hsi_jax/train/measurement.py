"""Speeds measured before training: the real model, on the real data, on all devices at once."""

import math
from collections.abc import Sequence

import jax
import numpy as np

from hsi_jax.hetero import Profile, Work, deal, make_plan, parse_profile
from hsi_jax.hetero.cluster import gather, gather_hosts, meet
from hsi_jax.hetero.timing import Timing, fit_timing, profile_of, time_calls
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.state import TrainState
from hsi_jax.train.step import local_step

REPEATS = 5
LEAST_SECONDS = 0.1  # a throttled process rests by turns, which a shorter time may miss


def measure_profile(replicas: Replicas, state: TrainState, ids: np.ndarray) -> Profile:
    """Times each process's own microbatches, without communication, and gathers one profile.

    All processes measure at the same time, so that what they share (cores, caches, memory) is
    shared as it will be in training. The times at a quarter, half and all of a batch's microbatches
    give t(n) = a + b * n.

    Args:
        replicas: one device in each process.
        state: not replicated; it is not changed.
        ids: sample ids of one batch, int32 [B].

    Returns:
        The same profile in every process, in microbatches per second and seconds.
    """
    work = _everything_everywhere(ids, replicas.plan.microbatch_size, len(replicas.profile))
    live = replicas.replicate(state)
    samples, _ = replicas.ready(work)
    step = replicas.pmap(local_step).lower(live, samples, replicas.place(work)).compile()

    def run(count, passes=1):
        counted = replicas.place(work.replace(count=np.full_like(work.count, count)))
        for _ in range(passes):
            jax.block_until_ready(step(live, samples, counted))

    most = work.ids.shape[1]
    sizes = sorted({max(1, most // 4), max(1, most // 2), most})
    meet()  # all begin together
    passes = math.ceil(LEAST_SECONDS / np.median(time_calls(run, sizes[:1], 3)))
    seconds = time_calls(lambda count: run(count, passes), sizes, REPEATS) / passes
    own = fit_timing(sizes, seconds)
    rows = gather(np.array([own.fixed_cost, own.per_microbatch, own.spread], np.float32))
    timings = [Timing(*map(float, row)) for row in rows]
    names = [f"{host} {rank}" for rank, host in enumerate(gather_hosts())]
    return profile_of(timings, names)


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
    own = len(replicas.profile) / jax.process_count()
    step = replicas.pmap(local_step)
    rates = {}
    for size in sizes:
        ready = replicas.ready(_everything_everywhere(ids, size, len(replicas.profile)))
        compiled = step.lower(live, *ready).compile()

        def run(passes, compiled=compiled, ready=ready):
            for _ in range(passes):
                jax.block_until_ready(compiled(live, *ready))

        meet()  # all begin together
        passes = math.ceil(LEAST_SECONDS / np.median(time_calls(run, [1], 3)))
        seconds = np.median(time_calls(run, [passes], REPEATS)) / passes
        samples = own * _most(len(ids), size)
        rates[size] = float(gather(np.float32(samples / seconds)).sum(dtype=np.float64))
    return rates


def _everything_everywhere(ids: np.ndarray, microbatch_size: int, devices: int) -> Work:
    """Work in which every device holds the whole batch, at least two microbatches."""
    ids = np.resize(ids, _most(len(ids), microbatch_size))
    one = deal(ids, make_plan("even", parse_profile("1"), len(ids), microbatch_size))
    return jax.tree.map(lambda array: np.repeat(array, devices, axis=0), one)


def _most(samples: int, microbatch_size: int) -> int:
    """How many samples are measured: at least two microbatches."""
    return max(samples, 2 * microbatch_size)
