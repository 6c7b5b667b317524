"""Processes that train together over `jax.distributed`, each with its own devices."""

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.extend.backend import clear_backends

from hsi_jax.cluster.address import bypass_proxy, free_port, join_address, listen, parse_address
from hsi_jax.cluster.devices import find_devices, let_devices_wait, take_turns_on_one_core
from hsi_jax.cluster.exchange import Membership, add, gather, num_processes, rank, set_membership
from hsi_jax.cluster.launchers import Place, find_place, local_device_ids
from hsi_jax.cluster.loss import end_after_loss, join_roll_call
from hsi_jax.cluster.platforms import own_platform
from hsi_jax.cluster.roll_call import Host, Member
from hsi_jax.errors import InputError

REDUCTIONS = ("auto", "device", "host")
JOIN_SECONDS = 60
HEARTBEAT_SECONDS = 30  # without a sign of life, after which a process counts as lost
PATIENCE = "HSI_JAX_PATIENCE"  # times as long; set by a launcher that makes processes slow
SHUTDOWN_SECONDS = 86_400  # for the last process to finish; whoever is lost meanwhile is noticed
BROADCAST_BYTES = 2**26  # at once; each device holds two copies for a moment


def join_cluster(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    devices_per_process: int = 1,
    reduce: str = "auto",
) -> None:
    """Joins the other processes; call it before anything has used JAX.

    Without arguments, it finds them by what a launcher tells (`hsi_jax.cluster.launchers`). From
    then on, the process ends as soon as another one is lost (`hsi_jax.cluster.loss`).

    Args:
        coordinator: "host:port" of process 0, the same in all processes.
        num_processes: how many there are.
        process_id: which one this is, from 0.
        devices_per_process: those of this one, emulated on a CPU; others may have other numbers.
        reduce: where sums are added: "device", by one program over all devices; "host", by the
            processes, whose platforms may then be unlike; "auto" takes host where they are.

    Raises:
        InputError: if no launcher tells of others, the address cannot be used or reached, somebody
            is missing, has the same number, or this process has another number of devices.
    """
    if reduce not in REDUCTIONS:
        raise InputError(f"`reduce`={reduce}: choose one of {', '.join(REDUCTIONS)}")
    devices = devices_per_process
    rendezvous = _meet(coordinator, num_processes, process_id)
    if reduce == "device":
        rendezvous.join(devices)
        membership = Membership()
    else:
        membership = _join_by_platform(rendezvous, devices, reduce)
    set_membership(membership)
    check_devices(devices, membership)
    # Gloo gives the processes 30 s to meet for the first time. They are together now, and may not
    # be later, when a fast one has compiled long before a slow one.
    counts = tuple(gather(np.array(devices, np.int32)).tolist())
    set_membership(replace(membership, devices=counts))


def check_devices(devices: int, membership: Membership) -> None:
    """Checks that this process has as many devices as it is to have.

    Raises:
        InputError: if not.
    """
    found = jax.local_device_count()
    emulated = jax.local_devices()[0].platform == "cpu"
    if found != (emulated_devices(devices, membership.reduce) if emulated else devices):
        raise InputError(
            f"process {rank()} sees {found} devices, but `devices_per_process`={devices}; give "
            f"{found}, or start one process for each device (on one node with several GPUs, set "
            f"CUDA_VISIBLE_DEVICES)"
        )


def _join_by_platform(rendezvous: "_Rendezvous", devices: int, reduce: str) -> Membership:
    """Meets on the CPU, which every process has, and decides there how to go on."""
    own = own_platform()
    asked = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
    jax.config.update("jax_platforms", "cpu")
    rendezvous.join(devices, emulated_devices(devices, reduce))
    platforms = [text.decode() for text in gather_texts(own.encode())]
    host = reduce == "host" or len(set(platforms)) > 1
    if set(platforms) == {"cpu"}:
        return Membership("host" if host else "device")
    # JAX would look for the devices of accelerators in all processes; it starts once more, and
    # with a host's sums each process keeps its own to itself.
    elsewhere = rendezvous.leave()
    if host and asked:
        jax.config.update("jax_platforms", asked if "cpu" in asked.split(",") else f"{asked},cpu")
    else:
        jax.config.update("jax_platforms", asked)
    if not host:
        elsewhere.join(devices)
        return Membership()
    jax.config.update("jax_pjrt_client_create_options", {"num_nodes": 1, "node_id": 0})
    elsewhere.join(devices, emulated_devices(devices, "host"))
    return Membership("host", "cpu")


def emulated_devices(devices: int, reduce: str) -> int:
    """How many devices a CPU is divided into: one that is alone has an idle second beside it.

    See `hsi_jax.cluster.devices.choose_devices`. Where one program spans the devices of all
    processes, none is alone.
    """
    return max(2, devices) if reduce == "host" else devices


@dataclass(frozen=True)
class _Rendezvous:
    """Where and how this process meets the others; the arguments of `jax.distributed`.

    Attributes:
        host: of process 0.
        ports: of JAX's service; the second where the processes part and join once more, because
            whoever comes again to the first may find the service that is about to end.
        listen_host: where process 0 listens, "" for all addresses of its machine.
        num_processes: how many there are.
        process_id: which one this is.
        place: what a launcher told, if one did.
    """

    host: str
    ports: tuple[int, ...]
    listen_host: str
    num_processes: int
    process_id: int
    place: Place | None

    def join(self, devices: int, emulated: int | None = None) -> None:
        """Starts JAX with the others, with that number of accelerators or parts of the CPU."""
        given: dict[str, Any] = {}
        if self.place:
            given = {
                "cluster_detection_method": "deactivate",
                "local_device_ids": local_device_ids(self.place, devices),
            }
        let_devices_wait()
        take_turns_on_one_core()
        try:
            # A process has as many devices, whatever XLA_FLAGS or JAX_NUM_CPU_DEVICES say.
            jax.config.update("jax_num_cpu_devices", emulated or devices)
            jax.distributed.initialize(
                join_address(self.host, self.ports[0]),
                self.num_processes,
                self.process_id,
                initialization_timeout=JOIN_SECONDS,
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS * int(os.environ.get(PATIENCE, 1)),
                shutdown_timeout_seconds=SHUTDOWN_SECONDS,
                coordinator_bind_address=join_address(self.listen_host or "::", self.ports[0]),
                **given,
            )
            find_devices()
        except (RuntimeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"process {self.process_id} could not join the cluster at {self.host}: "
                f"{str(error).splitlines()[0]}"
            ) from None

    def leave(self) -> "_Rendezvous":
        """Parts from the others in peace; returns where all can join again."""
        jax.distributed.shutdown()
        clear_backends()
        return replace(self, ports=self.ports[1:])


def _meet(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> _Rendezvous:
    """Reports to process 0, as it was given or by what a launcher tells, and waits for all."""
    source, remedy = f"`coordinator`={coordinator}", "check the address and that process 0 runs"
    place = None
    if coordinator is None:
        place = find_place()
        if place is None:
            raise InputError("`coordinator`: no launcher tells of other processes; give HOST:PORT")
        coordinator, num_processes = place.coordinator, place.num_processes
        process_id, remedy = place.process_id, place.remedy
        source = f"{coordinator} (from {place.source})"
    assert num_processes is not None
    assert process_id is not None
    host, port = parse_address(coordinator, source, remedy)
    bypass_proxy(host)
    if process_id == 0:
        listener = listen(host, port, source, remedy)
        ports = _call_roll(listener, num_processes)
        listen_host = listener.getsockname()[0]
    else:
        try:
            member = Member(
                (host, port),
                process_id,
                num_processes,
                on_lost=end_after_loss,
                patience=JOIN_SECONDS,
            )
            join_roll_call(member, process_id)
            ports, listen_host = member.ports(2 * JOIN_SECONDS), ""
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        except OSError as error:
            raise InputError(
                f"{source} cannot be reached after {JOIN_SECONDS:g} s ({error}); {remedy}"
            ) from None
    return _Rendezvous(host, tuple(ports), listen_host, num_processes, process_id, place)


def _call_roll(listener: socket.socket, num_processes: int) -> list[int]:
    """Waits for the other processes, in process 0; returns the ports that they were told."""
    host = Host(listener, num_processes, end_after_loss)
    ports = [free_port(listener) for _ in range(2)]
    try:
        host.admit_all(JOIN_SECONDS, ports)
    except InputError as error:
        host.fail(str(error))
        host.close()
        raise
    join_roll_call(host, 0)
    return ports


def broadcast(data: bytes) -> bytes:
    """What process 0 was given, in every process; the others' own `data` does not count.

    Every process must call it, and in the same order with other collective work.
    """
    if num_processes() == 1:
        return data
    own = data if rank() == 0 else b""
    # As bytes: what the others add is 0, and a sum of floats would turn a -0.0 into 0.0.
    size = int(add(np.array(len(own), np.int64)))
    pieces = []
    for start in range(0, size, BROADCAST_BYTES):
        piece = np.zeros(min(BROADCAST_BYTES, size - start), np.uint8)
        if rank() == 0:
            piece[:] = np.frombuffer(own, np.uint8, len(piece), start)
        pieces.append(add(piece).tobytes())
    return b"".join(pieces)


def barrier() -> None:
    """Waits until every process has come here."""
    gather(np.zeros(1, np.float32))


def gather_texts(text: bytes) -> list[bytes]:
    """A short text of every process, at most 64 bytes of it."""
    rows = gather(np.frombuffer(text[:64].ljust(64, b"\0"), np.uint8))
    return [row.tobytes().rstrip(b"\0") for row in rows]


def gather_hosts() -> list[str]:
    """The host name of every process."""
    return [name.decode() for name in gather_texts(socket.gethostname().encode())]


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
