"""Whether samples stay on the devices or are sent for every step."""

from collections.abc import Sequence

import jax
import numpy as np
import psutil

from hsi_jax.hetero.cluster import gather

PART_OF_MEMORY = 0.25  # the rest is for parameters, activations and other programs


def fits_on_devices(num_bytes: int, devices: Sequence[jax.Device]) -> bool:
    """Whether a copy of so many bytes may stay on each of the devices.

    An accelerator may be filled by a quarter of its memory. Emulated devices share the machine's
    memory, so the copies of all of them together may take a quarter of what is free. In a cluster
    every process must have the room, because all run the same program.

    Args:
        num_bytes: of one copy.
        devices: of all processes; each looks at its own.
    """
    own = [device for device in devices if device.process_index == jax.process_index()]
    fits = all(num_bytes * copies <= PART_OF_MEMORY * room for room, copies in _rooms(own))
    return bool(gather(np.array([fits])).all())


def _rooms(devices: Sequence[jax.Device]) -> list[tuple[float, int]]:
    """Bytes of each memory and how many copies it must hold."""
    if devices[0].platform == "cpu":
        return [(psutil.virtual_memory().available, len(devices))]
    return [((device.memory_stats() or {}).get("bytes_limit", 0), 1) for device in devices]
