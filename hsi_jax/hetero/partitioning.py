"""Who computes how much: the split of a step's microbatches over uneven devices."""

import heapq

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import Device, Profile

_BISECTIONS = 64
_ROUNDING = 1e-9  # well above that of t(n), so that no device is dealt too much ahead


def partition(profile: Profile, microbatches: int, microbatch_size: int) -> tuple[int, ...]:
    """Deals whole microbatches so that the slowest device is done as early as possible.

    Minimises max_d t_d(n_d) over all whole shares n_d with sum `microbatches`, where
    t_d(n) = fixed_cost_d + n / speed_d and n_d * microbatch_size <= memory_cap_d. Dealing one
    microbatch at a time to the device that would be done with it first is optimal, because every
    t_d grows with n. Among equals the first device is served first. With no fixed costs this is
    the proportional split of Moreno-Alvarez et al. (IGARSS 2022), rounded in the best way.

    Args:
        profile: the devices.
        microbatches: how many to deal, >= 1.
        microbatch_size: samples in one; memory caps limit a device's samples.

    Returns:
        Microbatches of each device, [devices]; 0 is allowed.

    Raises:
        InputError: if the memory caps leave no room for all microbatches.
    """
    devices = profile.devices
    caps = [_cap(device, microbatches, microbatch_size) for device in devices]
    if sum(caps) < microbatches:
        raise InputError(
            f"the memory caps of profile {profile.name!r} hold {sum(caps) * microbatch_size} "
            f"samples, in microbatches of {microbatch_size}, but a step has {microbatches} "
            f"microbatches; raise the caps or lower `batch_size`"
        )
    shares = _deal_ahead(profile, caps, microbatches)
    finish = [
        (device.time(share + 1), index)
        for index, (device, share) in enumerate(zip(devices, shares, strict=True))
        if share < caps[index]
    ]
    heapq.heapify(finish)
    for _ in range(microbatches - sum(shares)):
        _, index = heapq.heappop(finish)
        shares[index] += 1
        if shares[index] < caps[index]:
            heapq.heappush(finish, (devices[index].time(shares[index] + 1), index))
    return tuple(shares)


def _cap(device: Device, microbatches: int, microbatch_size: int) -> int:
    if device.speed == 0:
        return 0
    if device.memory_cap is None:
        return microbatches
    return min(microbatches, device.memory_cap // microbatch_size)


def _deal_ahead(profile: Profile, caps: list[int], microbatches: int) -> list[int]:
    """Shares that dealing one by one would have reached on its way, found all at once.

    By a common deadline each device can do a certain number of microbatches. The latest deadline
    by which all devices do no more than `microbatches` is found by bisection. So only about one
    microbatch for each device is left to deal one by one, however many there are.
    """
    speeds = np.array(profile.speeds, float)
    fixed_costs = np.array([device.fixed_cost for device in profile.devices], float)
    limits = np.array(caps)

    def done_by(deadline):
        with np.errstate(over="ignore", invalid="ignore"):
            done = np.floor((deadline - fixed_costs) * speeds)
        return np.minimum(np.maximum(np.nan_to_num(done), 0), limits).astype(int)

    low, high = 0.0, max(profile.times(caps))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if done_by(middle).sum() <= microbatches:
            low = middle
        else:
            high = middle
    return done_by(low * (1 - _ROUNDING)).tolist()


def even_partition(profile: Profile, microbatches: int, microbatch_size: int) -> tuple[int, ...]:
    """Deals the same number to every device, as DDP and Horovod do; the first get what is left.

    Devices of speed 0 take no part.

    Raises:
        InputError: if an equal share exceeds the memory cap of a device.
    """
    present = [index for index, speed in enumerate(profile.speeds) if speed > 0]
    shares = [0] * len(profile)
    for place, index in enumerate(present):
        shares[index] = microbatches // len(present) + (place < microbatches % len(present))
        cap = profile.devices[index].memory_cap
        if cap is not None and shares[index] * microbatch_size > cap:
            raise InputError(
                f"an equal share of {shares[index]} microbatches of {microbatch_size} samples "
                f"exceeds memory_cap {cap} of {profile.names[index]!r}; lower `batch_size` or "
                f"choose a `scheme` that divides by speed"
            )
    return tuple(shares)
