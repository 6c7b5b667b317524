"""What summary.json tells of each device: what it did, and for whom the others waited."""

import os
import platform
from collections.abc import Sequence

import numpy as np

from hsi_jax.cluster.exchange import devices_of_processes, known_kinds, losses, num_processes
from hsi_jax.cluster.processes import gather_texts
from hsi_jax.errors import InputError
from hsi_jax.evaluate.measures.straggler import find_straggler
from hsi_jax.hetero import Plan, Profile, make_plan
from hsi_jax.kernels import kernels_in_use
from hsi_jax.run.summary_devices import (
    DeviceSummary,
    LostProcess,
    MeasuredStep,
    ModelledTimes,
    Straggler,
    TimelineStep,
)
from hsi_jax.session.setup import Setup
from hsi_jax.train import Fit, Rebalancing, Replicas


def summarise_devices(
    setup: Setup, fitted: Fit, profile: Profile, communication: float
) -> list[DeviceSummary]:
    """Where each device is, what it has done since the start, and what it is worth.

    Every process must call it. Modelled times include that of communication.
    """
    kinds = _kinds(setup.replicas)
    counts = devices_of_processes()
    processes = [process for process, count in enumerate(counts) for _ in range(count)]
    total = sum(fitted.microbatches) or 1
    without = [model_time_without(profile, fitted.plan, n) for n in range(len(profile))]
    return [
        DeviceSummary(
            name=name,
            process=process,
            kind=kinds[process],
            microbatches=done,
            part=done / total,
            modelled_step_time_without=None if own is None else own + communication,
        )
        for name, process, done, own in zip(
            profile.names, processes, fitted.microbatches, without, strict=False
        )
    ]


def model_times(
    profile: Profile, plan: Plan, measured: MeasuredStep | None = None
) -> ModelledTimes:
    """Times that the profile says a step takes, under this plan and under an even one.

    They include the time of sum and update where that was measured and the profile is in seconds.
    """
    known = measured is not None and profile.time_unit == "s"
    communication = measured.sum_and_update_ms / 1e3 if measured and known else None
    added = communication or 0.0
    times = profile.times(plan.shares)
    try:
        even = make_plan("even", profile, plan.batch_size, plan.microbatch_size)
        even_times = profile.times(even.shares)
    except InputError:  # an even share would exceed a memory cap
        even_times = None
    return ModelledTimes(
        modelled_step_time=max(times) + added,
        modelled_speedup_over_even=(
            (max(even_times) + added) / (max(times) + added) if even_times else None
        ),
        modelled_time_unit=profile.time_unit,
        modelled_device_times=times,
        modelled_device_times_even=even_times,
        modelled_communication=communication,
    )


def model_time_without(profile: Profile, plan: Plan, number: int) -> float | None:
    """Time of own work in a step without a device, says the profile; None where it cannot be."""
    devices = tuple(d for other, d in enumerate(profile.devices) if other != number)
    try:
        others = Profile(devices, profile.name, profile.time_unit)
        new = make_plan(plan.scheme, others, plan.batch_size, plan.microbatch_size)
    except InputError:  # there are none, or their memory caps forbid it
        return None
    return max(others.times(new.shares))


def summarise_straggler(
    setup: Setup,
    rebalancing: Rebalancing | None,
    profile: Profile,
    timeline: Sequence[TimelineStep],
) -> Straggler | None:
    """The device for which the others waited; None where no step was timed, or none did so."""
    if rebalancing is None:
        return None
    return find_straggler(rebalancing.records, setup.plan.shares, profile.names, timeline)


def summarise_losses() -> list[LostProcess]:
    """The processes that were lost since the start."""
    return [LostProcess(loss.process, loss.step, loss.seconds) for loss in losses()]


def describe_hardware(replicas: Replicas) -> str:
    """The devices, whether they are emulated, and whose kernels they run if not XLA's."""
    own = ", convolutions by native kernels" if kernels_in_use() == "native" else ""
    return _describe_devices(replicas) + own


def _describe_devices(replicas: Replicas) -> str:
    device = replicas.devices[0]
    kinds = {}
    counts = devices_of_processes()
    for kind, count in zip(_kinds(replicas), counts, strict=True):
        kinds[kind] = kinds.get(kind, 0) + count
    if num_processes() == 1 and device.platform != "cpu":
        return f"{replicas.count} x {device.device_kind}"
    if set(kinds) != {"cpu"}:
        return ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    if num_processes() > 1:
        each = set(devices_of_processes())
        devices = f"{replicas.count} CPU devices" if each != {1} else "one CPU device each"
        return f"{num_processes()} processes, {devices} ({_cpu_name()})"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = "1 device" if replicas.count == 1 else f"{replicas.count} devices"
    return f"{devices} emulated on {cores} CPU cores ({_cpu_name()})"


def _kinds(replicas: Replicas) -> Sequence[str]:
    """The kind of each process's devices, those that were lost included."""
    kind = replicas.devices[0].device_kind
    return known_kinds() or [text.decode() for text in gather_texts(kind.encode())]


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1] for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def stamps_of_devices(stamps: np.ndarray, seconds: list[float]) -> np.ndarray:
    """The stamps of processes, [processes, 3], as those of their devices, [devices, 3].

    The devices of a process begin and end together.
    """
    counts = devices_of_processes()
    if len(stamps) == 1 or max(counts) == 1 or sum(counts) != len(seconds):
        return stamps
    rows = np.repeat(stamps, counts, axis=0)
    rows[:, 1] = rows[:, 0] + seconds
    return rows
