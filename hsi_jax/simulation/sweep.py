"""A sweep of modelled clusters: of many sizes, and mixtures of slow and fast devices."""

import dataclasses
import itertools
from dataclasses import dataclass

from hsi_jax.hetero.profile import Profile
from hsi_jax.hetero.simulation import (
    Network,
    message_bytes,
    model_step,
    repeat_devices,
    two_kinds,
)
from hsi_jax.simulation.losses import Losses

GOODPUT = ("modelled_goodput_finishing", "modelled_goodput_restarting")
ORIGIN = ("machine", "scaling", "slow_fraction", "speed_ratio", "batch_size")


@dataclass(frozen=True)
class Sweep:
    """The clusters to simulate: every combination of the lists.

    Attributes:
        profile: the devices, in seconds.
        device_counts: sizes of the clusters.
        slow_fractions: in clusters of two kinds, the part of the devices that is slow.
        ratios: in clusters of two kinds, the speed of the fast by that of the slow.
        scaling: "strong" (the batch stays) or "weak" (it grows with the devices).
        batch_size: samples of a step; under weak scaling, for each device.
        microbatch_size: samples.
        parameters: float32 values that are summed.
        network: between the devices.
        losses: of devices.
    """

    profile: Profile
    device_counts: tuple[int, ...]
    slow_fractions: tuple[float, ...]
    ratios: tuple[float, ...]
    scaling: str
    batch_size: int
    microbatch_size: int
    parameters: int
    network: Network
    losses: Losses = Losses()  # noqa: RUF009, it is frozen


def simulate(sweep: Sweep) -> tuple[list[dict], list[dict]]:
    """Models every cluster of the sweep.

    Returns:
        Rows of the clusters that are like the profile, and of those of two kinds. A row has the
        columns `ORIGIN`, and the fields of `hsi_jax.hetero.simulation.ModelledStep`; those of
        clusters like the profile also `GOODPUT`, where devices are lost.

    Raises:
        InputError: if the memory caps of a cluster leave no room for its batch.
    """
    fastest = max(sweep.profile.devices, key=lambda device: device.speed)
    clusters = [
        _row(sweep, repeat_devices(sweep.profile, devices), "as in profile")
        | _goodput(sweep.losses, devices)
        for devices in sweep.device_counts
    ]
    mixtures = [
        _row(
            sweep,
            two_kinds(fastest, count, slow, ratio),
            "two kinds",
            slow_fraction=slow,
            ratio=ratio,
        )
        for count, slow, ratio in itertools.product(
            sweep.device_counts, sweep.slow_fractions, sweep.ratios
        )
    ]
    return clusters, mixtures


def _goodput(losses: Losses, devices: int) -> dict[str, float]:
    if not losses.losses_per_device_day:
        return {}
    found = losses.goodput_finishing(devices), losses.goodput_restarting(devices)
    return dict(zip(GOODPUT, found, strict=True))


def _row(
    sweep: Sweep,
    profile: Profile,
    machine: str,
    *,
    slow_fraction: float | None = None,
    ratio: float | None = None,
) -> dict:
    batch_size = sweep.batch_size * (len(profile) if sweep.scaling == "weak" else 1)
    microbatches = -(-batch_size // sweep.microbatch_size)
    step = model_step(
        profile,
        microbatches,
        sweep.microbatch_size,
        size=message_bytes(sweep.parameters),
        network=sweep.network,
    )
    origin = (machine, sweep.scaling, slow_fraction, ratio, batch_size)
    return dict(zip(ORIGIN, origin, strict=True)) | dataclasses.asdict(step)
