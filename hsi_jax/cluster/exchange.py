"""What processes tell each other: arrays of all of them gathered, or added.

The default backend carries them where it spans all processes. Where each process has an accelerator
to itself (see `Membership`), the CPU does. Where any process may be lost, MPI does
(`hsi_jax.cluster.survivors`); the numbers of processes and devices then stay as they were.
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from hsi_jax.cluster.survivors import Loss, OnLoss, Survivors

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
        survivors: the processes, where they can survive losses; then no backend spans them.
        alike: whether all processes compute the same bits; told where they survive losses.
        kinds: of each process's devices, as JAX calls them; told where they survive losses.
    """

    reduce: str = "device"
    backend: str | None = None
    devices: tuple[int, ...] = ()
    survivors: "Survivors | None" = None
    alike: bool = True
    kinds: tuple[str, ...] = ()


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
    survivors = _membership.survivors
    return survivors.rank if survivors else jax.process_index(_membership.backend)


def num_processes() -> int:
    """How many processes there are, those that were lost included."""
    survivors = _membership.survivors
    return survivors.count if survivors else jax.process_count(_membership.backend)


def can_survive() -> bool:
    """Whether the others go on when a process is lost."""
    return _membership.survivors is not None


def are_alike() -> bool:
    """Whether all processes compute the same bits; see `Membership`."""
    return _membership.alike


def survive_from_now() -> None:
    """Lets losses be made good from now on, where that can be."""
    if _membership.survivors:
        _membership.survivors.must_survive = True


def is_first() -> bool:
    """Whether this is the first process that is left: the one that writes, and speaks for all."""
    survivors = _membership.survivors
    return rank() == (survivors.first if survivors else 0)


def on_first(call: Callable[[], object]) -> None:
    """Has a function called should this process become the first one that is left."""
    if _membership.survivors:
        _membership.survivors.on_first(call)


def by_first(action: Callable[[], object]) -> None:
    """Lets the first process do what one does for all; if it is lost meanwhile, the next one does.

    Every process must call it, and in the same order with other collective work. Where losses
    cannot be made good, the others do not wait.
    """
    while True:
        first = is_first()
        if first:
            action()
        if not can_survive():
            return
        others = gather(np.array(first, np.uint8))
        if others.any():  # nobody who has done it is lost
            return


def lost_processes() -> frozenset[int]:
    """Numbers of the processes that were lost."""
    return _membership.survivors.lost if _membership.survivors else frozenset()


def lost_devices() -> frozenset[int]:
    """Numbers of the devices of processes that were lost."""
    lost = lost_processes()
    counts = devices_of_processes() if lost else ()
    ends = np.cumsum(counts)
    return frozenset(n for p in lost for n in range(ends[p] - counts[p], ends[p]))


def expecting(seconds: float) -> AbstractContextManager[None]:
    """Within it, a device is to be ready in this time; see `hsi_jax.cluster.guard`."""
    return _membership.survivors.guard.expects(seconds) if _membership.survivors else nullcontext()


def losses() -> "list[Loss]":
    """The losses so far, with what they cost."""
    return _membership.survivors.losses if _membership.survivors else []


def end_step(step: int) -> None:
    """Notes that a step is complete, in which losses may have been made good."""
    if _membership.survivors:
        _membership.survivors.end_step(step)


def devices_of_processes() -> tuple[int, ...]:
    """How many devices each process has, in the order of the processes."""
    if _membership.devices:
        return _membership.devices
    owners = [device.process_index for device in jax.devices()]
    return tuple(owners.count(process) for process in range(num_processes()))


def known_kinds() -> tuple[str, ...]:
    """The kind of each process's devices, or () where it is still to be asked for."""
    return _membership.kinds


def own_devices() -> range:
    """The numbers of this process's devices among those of all processes."""
    counts = devices_of_processes()
    first = sum(counts[: rank()])
    return range(first, first + counts[rank()])


def gather(values: np.ndarray) -> np.ndarray:
    """The same-shaped arrays of all processes, [processes, ...], the same in each of them.

    Every process must call it, and in the same order with other collective work. Numbers of 64
    bits become 32, as everywhere in JAX. Rows of processes that were lost are 0.
    """
    if _membership.survivors:
        return _membership.survivors.gather(values)
    if num_processes() == 1:
        return np.asarray(values)[None]
    return _combine(_all_rows, values)


def add(values: np.ndarray, on_loss: "OnLoss | None" = None) -> np.ndarray:
    """The sum of the same-shaped arrays of all processes, of the same dtype, in each of them.

    Sums of integers, of 64 bits as well, do not depend on the order of the processes. Every process
    must call it, and in the same order with other collective work.

    Args:
        values: of this process.
        on_loss: called where processes were lost before their values came; it gives what this
            process adds instead. Without it, theirs count as 0.
    """
    values = np.asarray(values)
    if _membership.survivors:
        return _membership.survivors.add(values, on_loss)
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
