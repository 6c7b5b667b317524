"""The JAX devices that stand for the devices of a profile."""

import os

import jax

from hsi_jax.errors import InputError

# XLA:CPU has a thread for each core or emulated device, whichever are more, and picks kernels by
# that number. As many devices for every small profile let them all train to the same bits.
LEAST_EMULATED = 8


def emulate_devices(count: int) -> None:
    """Splits the CPU into at least that many JAX devices; call it before anything has used JAX.

    The devices share the CPU's cores, so their speeds are declared by a profile, never measured.
    It never lowers an earlier number, leaves alone one that is set by XLA_FLAGS, and does nothing
    on accelerators.

    Raises:
        InputError: if JAX has already started with fewer CPU devices.
    """
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if chosen or jax.config.jax_num_cpu_devices >= count:
        return
    try:
        jax.config.update("jax_num_cpu_devices", max(count, LEAST_EMULATED))
    except RuntimeError:
        if jax.default_backend() == "cpu":
            take_devices(count)


def take_devices(count: int) -> list[jax.Device]:
    """The first `count` devices of JAX.

    Raises:
        InputError: if there are fewer.
    """
    devices = jax.devices()
    if len(devices) < count:
        raise InputError(
            f"the profile has {count} devices but JAX has {len(devices)} "
            f"({devices[0].platform}); give a profile of at most {len(devices)}, or, on CPU, start "
            f"JAX with more (XLA_FLAGS=--xla_force_host_platform_device_count={count}, or "
            f"hsi_jax.hetero.emulate_devices({count}) before JAX is used)"
        )
    return devices[:count]
