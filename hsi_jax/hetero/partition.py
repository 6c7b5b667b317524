"""Who computes how much: the split of a step's microbatches over uneven devices."""

import heapq

from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import Profile


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
        microbatch_size: samples in one, which memory caps are held against.

    Returns:
        Microbatches of each device, [devices]; 0 is allowed.

    Raises:
        InputError: if the memory caps leave no room for all microbatches.
    """
    caps = [
        microbatches if device.memory_cap is None else device.memory_cap // microbatch_size
        for device in profile.devices
    ]
    shares = [0] * len(profile)
    finish = [
        (device.time(1), index)
        for index, device in enumerate(profile.devices)
        if device.speed > 0 and caps[index] > 0
    ]
    heapq.heapify(finish)
    for dealt in range(microbatches):
        if not finish:
            raise InputError(
                f"the memory caps of profile {profile.name!r} hold {dealt * microbatch_size} "
                f"samples, in microbatches of {microbatch_size}, but a step has {microbatches} "
                f"microbatches; raise the caps or lower --batch_size"
            )
        _, index = heapq.heappop(finish)
        shares[index] += 1
        if shares[index] < caps[index]:
            heapq.heappush(finish, (profile.devices[index].time(shares[index] + 1), index))
    return tuple(shares)


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
                f"exceeds memory_cap {cap} of {profile.names[index]!r}; lower --batch_size or use "
                f"a scheme that deals by speed"
            )
    return tuple(shares)
