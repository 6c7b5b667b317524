"""Processes that train together, one for each device, over `jax.distributed`."""

import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from hsi_jax.cluster.address import check_address
from hsi_jax.cluster.devices import find_devices
from hsi_jax.cluster.launchers import Place, find_place
from hsi_jax.errors import InputError

JOIN_SECONDS = 60
HEARTBEAT_SECONDS = 30  # without a sign of life, after which a process counts as lost
LINGER_SECONDS = 1.0
BROADCAST_BYTES = 2**26  # at once; each device holds two copies for a moment


def join_cluster(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins the other processes; call it before anything has used JAX.

    Without arguments, it finds them by what a launcher tells (`hsi_jax.cluster.launchers`). Where
    somebody is missing after `JOIN_SECONDS`, this says so and ends the process.

    Args:
        coordinator: "host:port" of process 0, the same in all processes.
        num_processes: how many there are.
        process_id: which one this is, from 0.

    Raises:
        InputError: if no launcher tells of other processes, if the address cannot be used or
            reached, or if this process has several devices.
    """
    given: dict[str, Any] = {}
    source, remedy = f"`coordinator`={coordinator}", "check the address and that process 0 runs"
    if coordinator is None:
        place = find_place()
        if place is None:
            raise InputError("`coordinator`: no launcher tells of other processes; give HOST:PORT")
        coordinator, num_processes = place.coordinator, place.num_processes
        process_id, remedy = place.process_id, place.remedy
        source = f"{coordinator} (from {place.source})"
        given = {"cluster_detection_method": "deactivate", "local_device_ids": _own_device(place)}
    assert num_processes is not None
    host = check_address(
        coordinator, source, serves=process_id == 0, patience=JOIN_SECONDS, remedy=remedy
    )
    _bypass_proxy(host)
    # JAX ends the process with a stack trace when somebody is missing; this comes before it.
    alarm = threading.Timer(
        JOIN_SECONDS,
        leave_cluster,
        [
            f"error: process {process_id} waited {JOIN_SECONDS} s at {coordinator} for "
            f"{num_processes} processes, but not all of them came; start every one with the same "
            f"coordinator and number of processes"
        ],
    )
    alarm.daemon = True
    alarm.start()
    try:
        # A process has one device, whatever XLA_FLAGS or JAX_NUM_CPU_DEVICES say.
        jax.config.update("jax_num_cpu_devices", 1)
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=2 * JOIN_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            **given,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"process {process_id} could not join the cluster at {coordinator}: "
            f"{str(error).splitlines()[0]}"
        ) from None
    finally:
        alarm.cancel()
    find_devices()
    if jax.local_device_count() != 1:
        raise InputError(
            f"process {jax.process_index()} sees {jax.local_device_count()} devices; start one "
            f"process for each device (on one node with several GPUs, set CUDA_VISIBLE_DEVICES)"
        )
    # Gloo gives the processes 30 s to meet for the first time. They are together now, and may not
    # be later, when a fast one has compiled long before a slow one.
    barrier()


def _own_device(place: Place) -> list[int] | None:
    """The number of this process's accelerator among those that it sees; None leaves it to JAX."""
    if place.local_id is None or "JAX_LOCAL_DEVICE_IDS" in os.environ:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", os.environ.get("ROCR_VISIBLE_DEVICES", ""))
    alone = visible != "" and "," not in visible  # as with --gpus-per-task=1
    return [0 if alone else place.local_id]


def _bypass_proxy(host: str) -> None:
    """Lets the processes speak to each other directly, whatever http_proxy says."""
    name = "no_grpc_proxy"  # what gRPC reads first
    earlier = os.environ.get(name, os.environ.get("no_proxy", ""))
    os.environ[name] = f"{earlier},{host}" if earlier else host
    jax.config.update("jax_check_proxy_envs", False)  # its warning would mislead


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


def barrier() -> None:
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
                f"`{name}` differs between process 0 and process {', '.join(map(str, others))}; "
                f"start all processes with the same flags"
            )


def _fingerprint(value: object) -> int:
    digest = hashlib.sha256(json.dumps(value).encode()).digest()
    return int.from_bytes(digest[:4], "little", signed=True)
