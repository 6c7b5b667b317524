"""The work of devices that are lost, dealt once more to those that are left."""

from collections.abc import Collection, Sequence

import numpy as np

from hsi_jax.hetero.partitioning import partition
from hsi_jax.hetero.plan import Plan, plan_of_shares
from hsi_jax.hetero.profile import Device, Profile
from hsi_jax.hetero.work import Work


def redeal(work: Work, lost: Collection[int], speeds: Sequence[int]) -> list[Work]:
    """Deals what lost devices had of a batch to the others, so that they are done early.

    A microbatch keeps its number in the batch, its samples and their weight. So it adds to the sums
    what it would have added on the lost device.

    Args:
        work: of all devices, NumPy arrays.
        lost: numbers of devices that compute nothing more.
        speeds: of all devices, in any unit; 0 for no work.

    Returns:
        A work like the given one for each lost device that had microbatches.
    """
    dealt = np.zeros(len(speeds), int)
    works = []
    for device in sorted(lost):
        count = int(work.count[device])
        if count == 0:
            continue
        shares = np.array(partition(_left(speeds, lost, dealt), count, 1))
        dealt += shares
        works.append(_part(work, device, shares))
    return works


def without_lost(work: Work, lost: Collection[int]) -> Work:
    """A work of which the lost devices have nothing."""
    count = work.count.copy()
    count[list(lost)] = 0
    return work.replace(count=count)


def plan_without(plan: Plan, lost: Collection[int]) -> Plan:
    """The plan that deals the shares of lost devices to the others, by the shares of these.

    Only for schemes whose result does not depend on the shares (`Scheme.exact`).
    """
    profile = _left(plan.shares, lost, np.zeros(len(plan.shares)))
    shares = partition(profile, plan.microbatches, plan.microbatch_size)
    return plan_of_shares(
        plan.scheme,
        profile,
        shares,
        batch_size=plan.batch_size,
        microbatch_size=plan.microbatch_size,
    )


def profile_without(profile: Profile, lost: Collection[int]) -> Profile:
    """The profile in which lost devices take no part; if none were left, the others are alike."""
    speeds = [device.speed * (number not in lost) for number, device in enumerate(profile.devices)]
    if not any(speeds):
        speeds = [float(number not in lost) for number in range(len(profile))]
    devices = [
        Device(device.name, speed, device.fixed_cost, device.memory_cap)
        for device, speed in zip(profile.devices, speeds, strict=True)
    ]
    return Profile(tuple(devices), profile.name, profile.time_unit)


def _left(speeds: Sequence[int], lost: Collection[int], dealt: np.ndarray) -> Profile:
    """The devices that are left, each busy for a while with what it has been dealt already."""
    alike = Profile(tuple(Device(str(n), float(speed)) for n, speed in enumerate(speeds)))
    left = profile_without(alike, lost)
    devices = [
        Device(device.name, device.speed, done / device.speed if device.speed else 0.0)
        for device, done in zip(left.devices, dealt.tolist(), strict=True)
    ]
    return Profile(tuple(devices))


def _part(work: Work, device: int, shares: np.ndarray) -> Work:
    """The work of one device, dealt to the others by these shares."""
    ids, mask = np.zeros_like(work.ids), np.zeros_like(work.mask)
    starts = np.cumsum(shares) - shares
    for other, (start, share) in enumerate(zip(starts, shares, strict=True)):
        ids[other, :share] = work.ids[device, start : start + share]
        mask[other, :share] = work.mask[device, start : start + share]
    return work.replace(
        ids=ids,
        mask=mask,
        first=(work.first[device] + starts).astype(np.int32),
        count=shares.astype(np.int32),
        sample_weight=np.full_like(work.sample_weight, work.sample_weight[device]),
    )
