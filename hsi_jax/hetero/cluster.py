"""Processes that train together, one for each device, over `jax.distributed`."""

import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from hsi_jax.errors import InputError

JOIN_SECONDS = 60
HEARTBEAT_SECONDS = 30  # without a sign of life, after which a process counts as lost
LINGER_SECONDS = 1.0
BROADCAST_BYTES = 2**26  # at once; each device holds two copies for a moment


def finds_cluster() -> bool:
    """Whether SLURM (srun) or Open MPI (mpirun) has started several processes like this one."""
    sizes = (os.environ.get(name, "1") for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"))
    return any(size.isdigit() and int(size) > 1 for size in sizes)


def join_cluster(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins the other processes; call it before anything has used JAX.

    Without arguments, JAX finds them by what SLURM or Open MPI tell. Where somebody is missing
    after `JOIN_SECONDS`, this says so and ends the process.

    Args:
        coordinator: "host:port" of process 0, the same in all processes.
        num_processes: how many there are.
        process_id: which one this is, from 0.

    Raises:
        InputError: if the address cannot be used or reached, or if this process has several
            devices.
    """
    place = coordinator or "the address that the scheduler tells"
    if coordinator:
        _check_address(coordinator, serves=process_id == 0)
    # JAX ends the process with a stack trace when somebody is missing; this comes before it.
    alarm = threading.Timer(
        JOIN_SECONDS,
        leave_cluster,
        [
            f"error: process {process_id} waited {JOIN_SECONDS} s at {place} for {num_processes} "
            f"processes, but not all of them came; start every one with the same --coordinator and "
            f"--num_processes"
        ],
    )
    alarm.daemon = True
    alarm.start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=2 * JOIN_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"process {process_id} could not join the cluster at {place}: "
            f"{str(error).splitlines()[0]}"
        ) from None
    finally:
        alarm.cancel()
    if jax.local_device_count() != 1:
        raise InputError(
            f"process {jax.process_index()} sees {jax.local_device_count()} devices; start one "
            f"process for each device (on one node with several GPUs, set CUDA_VISIBLE_DEVICES)"
        )
    # Gloo gives the processes 30 s to meet for the first time. They are together now, and may not
    # be later, when a fast one has compiled long before a slow one.
    meet()


def _check_address(coordinator: str, serves: bool) -> None:
    """Process 0 must be able to serve at the address, the others to reach it."""
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--coordinator={coordinator}: give HOST:PORT of process 0")
    if serves:
        try:
            with socket.create_server(("", int(port))):
                return
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--coordinator={coordinator}: process 0 cannot serve at this port ({error}); "
                f"choose a free one"
            ) from None
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except (OSError, OverflowError) as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"--coordinator={coordinator} cannot be reached after {JOIN_SECONDS} s "
                    f"({error}); check the address and that process 0 runs"
                ) from None
        time.sleep(0.2)


def leave_cluster(message: str, exit_code: int = 2, linger: bool = False) -> NoReturn:
    """Ends this process with a line on stderr.

    A normal exit would wait for the other processes, and they may be lost or wait for this one.

    Args:
        message: the line.
        exit_code: of this process.
        linger: whether to let others end first: whoever was the cause, so that a launcher sees that
            first; then, because JAX aborts the others as soon as process 0 has gone, all but that.
    """
    print(message, file=sys.stderr, flush=True)
    if linger:
        time.sleep(LINGER_SECONDS * (5 if jax.process_index() == 0 else 1))
    os._exit(exit_code)


def rank() -> int:
    """Number of this process, 0 where there is only one."""
    return jax.process_index()


def gather(values: np.ndarray) -> np.ndarray:
    """The same-shaped arrays of all processes, [processes, ...], the same in each of them.

    Every process must call it, and in the same order with other collective work.
    """
    if jax.process_count() == 1:
        return np.asarray(values)[None]
    return np.asarray(multihost_utils.process_allgather(np.asarray(values)))


def broadcast(data: bytes) -> bytes:
    """What process 0 was given, in every process; the others' own `data` does not count.

    Every process must call it, and in the same order with other collective work.
    """
    if jax.process_count() == 1:
        return data
    size = multihost_utils.broadcast_one_to_all(np.array(divmod(len(data), 2**20), np.int32))
    size = int(size[0]) * 2**20 + int(size[1])
    pieces = []
    for start in range(0, size, BROADCAST_BYTES):
        piece = np.zeros(min(BROADCAST_BYTES, size - start), np.uint8)
        if rank() == 0:
            piece[:] = np.frombuffer(data, np.uint8, len(piece), start)
        # As bytes: a sum over the processes would turn a -0.0 into 0.0.
        pieces.append(np.asarray(multihost_utils.broadcast_one_to_all(piece), np.uint8).tobytes())
    return b"".join(pieces)


def meet() -> None:
    """Waits until every process has come here."""
    gather(np.zeros(1))


def gather_hosts() -> list[str]:
    """The host name of every process."""
    name = socket.gethostname().encode()[:64]
    rows = gather(np.frombuffer(name.ljust(64, b"\0"), np.uint8))
    return [row.tobytes().rstrip(b"\0").decode() for row in rows]


def check_alike(settings: Mapping[str, object]) -> None:
    """Checks that all processes were given the same settings.

    Raises:
        InputError: naming the settings that differ and the processes where they do, in every
            process.
    """
    rows = gather(np.array([_fingerprint(value) for value in settings.values()], np.int32))
    for name, column in zip(settings, rows.T, strict=True):
        others = np.flatnonzero(column != column[0])
        if len(others):
            raise InputError(
                f"--{name} differs between process 0 and process {', '.join(map(str, others))}; "
                f"start all processes with the same flags"
            )


def _fingerprint(value: object) -> int:
    digest = hashlib.sha256(json.dumps(value).encode()).digest()
    return int.from_bytes(digest[:4], "little", signed=True)
