"""The JAX devices that stand for the devices of a profile."""

import contextlib
import os
from typing import Any, TypeAlias

import jax

from hsi_jax.cluster.exchange import reduction
from hsi_jax.errors import InputError

# XLA:CPU has a thread for each core or emulated device, whichever are more, and picks kernels by
# that number. As many devices for every small profile let them all train to the same bits.
LEAST_EMULATED = 8

# XLA ends the process when a device has waited 40 s for another one of the same process; a slow
# device, or the idle one beside a single device, may take longer.
_PATIENCE = {
    "xla_cpu_collective_call_warn_stuck_timeout_seconds": 10**6,
    "xla_cpu_collective_call_terminate_timeout_seconds": 10**6,
}

# JAX's options with the values that training allows; any other changes its numbers or stops it.
SETTINGS = {
    "jax_enable_x64": (False,),
    "jax_disable_jit": (False,),
    "jax_transfer_guard": ("allow", "log", "log_explicit", None),
    "jax_numpy_dtype_promotion": ("standard",),
    "jax_default_prng_impl": ("threefry2x32",),
    "jax_threefry_partitionable": (True,),
    "jax_random_seed_offset": (0,),
}

# JAX gives the class by a variable, which a type checker does not take for a type.
JaxDevice: TypeAlias = jax.Device  # pyright: ignore[reportInvalidTypeForm]


def let_devices_wait() -> None:
    """Lets the CPU devices of this process wait for each other as long as it takes.

    Call it before anything has used JAX. It leaves alone what is set by XLA_FLAGS.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    missing = [f"--{name}={value}" for name, value in _PATIENCE.items() if name not in flags]
    if missing:
        os.environ["XLA_FLAGS"] = " ".join([flags, *missing]).strip()


def take_turns_on_one_core() -> None:
    """Lets the threads of a process that has one core end their work before the next one begins.

    Each packet of a collective wakes a thread that carries data. Where it interrupts the one that
    computes and holds what both need, it spins until the kernel's next tick, 4 ms with 250 Hz. As
    work of a batch, threads do not interrupt. Call it before anything has used JAX. It does
    nothing with several cores, where a scheduling policy was chosen, or where there is none.
    """
    if not hasattr(os, "SCHED_BATCH") or len(os.sched_getaffinity(0)) > 1:
        return
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def emulate_devices(count: int) -> None:
    """Splits the CPU into at least that many JAX devices; call it before anything has used JAX.

    The devices share the CPU's cores, so their speeds are declared by a profile, never measured.
    It never lowers an earlier number, leaves alone one that is set by XLA_FLAGS, and does nothing
    on accelerators.

    Raises:
        InputError: if JAX has already started with fewer CPU devices.
    """
    let_devices_wait()
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    present = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]
    if chosen or present >= count:
        return
    try:
        jax.config.update("jax_num_cpu_devices", max(count, LEAST_EMULATED))
    except RuntimeError:
        if jax.default_backend() == "cpu":
            take_devices(count)


def take_devices(count: int) -> list[JaxDevice]:
    """The first `count` devices of JAX.

    Raises:
        InputError: if there are fewer.
    """
    devices = find_devices()
    if len(devices) < count:
        platform = devices[0].platform
        more = "emulate them on the CPU with JAX_PLATFORMS=cpu"
        if platform == "cpu":
            more = (
                f"start JAX with more (XLA_FLAGS=--xla_force_host_platform_device_count={count}, "
                f"or hsi_jax.cluster.emulate_devices({count}) before JAX is used)"
            )
        raise InputError(
            f"the profile has {count} devices but JAX has {len(devices)} ({platform}); give a "
            f"profile of at most {len(devices)}, or {more}"
        )
    return devices[:count]


def find_devices() -> list[JaxDevice]:
    """All devices of JAX, which is started by it.

    Raises:
        InputError: if JAX cannot start on the platform that it was told to use, or has a setting
            with which nothing can be trained.
    """
    for name, wanted in SETTINGS.items():
        value = getattr(jax.config, name)
        if value not in wanted:
            raise InputError(
                f"{name.upper()}={value}: training needs {wanted[0]}; unset the variable, or call "
                f"jax.config.update({name!r}, {wanted[0]!r})"
            )
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter for cuda without its plugin
        config: Any = jax.config
        setting = f"JAX_PLATFORMS={config.jax_platforms}"
        if not config.jax_platforms:
            setting = f"JAX_PLATFORM_NAME={os.environ.get('JAX_PLATFORM_NAME', '')}"
        why = f" ({str(error).splitlines()[0]})" if str(error) else ""
        raise InputError(
            f"{setting}: JAX cannot start on it here{why}; unset the variable, or "
            f"set it to a platform that is there, such as cpu"
        ) from None


def choose_devices(count: int) -> tuple[JaxDevice, ...]:
    """The devices of a profile of `count`, over which this process's programs run.

    Those of all processes, or its own where sums are added by the hosts. One emulated device has
    an idle second beside it: XLA compiles a program for one device by another way than for
    several, and that can round differently.

    Raises:
        InputError: if JAX has fewer.
    """
    if reduction() == "host":
        return tuple(jax.local_devices())
    devices = take_devices(count)
    if count == 1 and devices[0].platform == "cpu" and jax.device_count() > 1:
        devices = take_devices(2)
    return tuple(devices)
