"""What processes tell each other: arrays of all of them gathered, or added.

The default backend carries them where it spans all processes. Where each process has an accelerator
to itself (see `Membership`), the CPU does.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

PROCESS = "process"


@dataclass(frozen=True)
class Membership:
    """How this process belongs to the others.

    Attributes:
        reduce: "device" where one program spans the devices of all processes and adds their sums;
            "host" where each process's program spans its own devices, and the sums are added on
            the hosts.
        backend: of JAX, that spans all processes; None for the default one.
        devices: how many devices each process has, in their order, or () for one process alone.
    """

    reduce: str = "device"
    backend: str | None = None
    devices: tuple[int, ...] = ()


_membership = Membership()


def set_membership(membership: Membership) -> None:
    """Says how this process belongs to the others; `join_cluster` calls it."""
    global _membership
    _membership = membership


def reduction() -> str:
    """Where sums are added: "device" or "host"; see `Membership`."""
    return _membership.reduce


def rank() -> int:
    """Number of this process, 0 where there is only one."""
    return jax.process_index(_membership.backend)


def num_processes() -> int:
    """How many processes there are."""
    return jax.process_count(_membership.backend)


def devices_of_processes() -> tuple[int, ...]:
    """How many devices each process has, in the order of the processes."""
    if _membership.devices:
        return _membership.devices
    owners = [device.process_index for device in jax.devices()]
    return tuple(owners.count(process) for process in range(num_processes()))


def own_devices() -> range:
    """The numbers of this process's devices among those of all processes."""
    counts = devices_of_processes()
    first = sum(counts[: rank()])
    return range(first, first + counts[rank()])


def gather(values: np.ndarray) -> np.ndarray:
    """The same-shaped arrays of all processes, [processes, ...], the same in each of them.

    Every process must call it, and in the same order with other collective work. Numbers of 64
    bits become 32, as everywhere in JAX.
    """
    if num_processes() == 1:
        return np.asarray(values)[None]
    return _combine(_all_rows, values)


def add(values: np.ndarray) -> np.ndarray:
    """The sum of the same-shaped arrays of all processes, of the same dtype, in each of them.

    Sums of integers, of 64 bits as well, do not depend on the order of the processes. Every process
    must call it, and in the same order with other collective work.
    """
    values = np.asarray(values)
    if num_processes() == 1:
        return values
    with jax.enable_x64(True):
        return _combine(_row_sum, values)


def _combine(function: Any, values: np.ndarray) -> np.ndarray:
    """A function of the arrays of all processes, [processes, ...], which each of them gets.

    Raises:
        jax.errors.JaxRuntimeError: if another process is lost.
    """
    mesh, own = _mesh(_membership.backend)
    sharding = jax.NamedSharding(mesh, jax.P(PROCESS))
    row = jax.device_put(np.asarray(values)[None], own)
    shape = (mesh.size, *row.shape[1:])
    rows = jax.make_array_from_single_device_arrays(shape, sharding, [row])
    try:
        return np.asarray(_replicated(function, mesh)(rows))
    except ValueError as error:  # JAX has two ways to tell that another process was lost
        raise jax.errors.JaxRuntimeError(str(error)) from error


def _all_rows(rows: jax.Array) -> jax.Array:
    return rows


def _row_sum(rows: jax.Array) -> jax.Array:
    return rows.sum(0, dtype=rows.dtype)


@functools.cache
def _mesh(backend: str | None) -> tuple[jax.sharding.Mesh, Any]:
    """The first device of every process, and that of this one."""
    first = {}
    for device in jax.devices(backend):
        first.setdefault(device.process_index, device)
    devices = [first[process] for process in sorted(first)]
    return jax.sharding.Mesh(devices, (PROCESS,)), first[jax.process_index(backend)]


@functools.cache
def _replicated(function: Any, mesh: jax.sharding.Mesh) -> Any:
    """Compiled once for each function and size; the result lies on every device of the mesh."""
    return jax.jit(function, out_shardings=jax.NamedSharding(mesh, jax.P()))
