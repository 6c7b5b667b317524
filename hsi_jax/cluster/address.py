"""The address at which processes meet: process 0 listens there, the others connect to it."""

import errno
import ipaddress
import os
import re
import socket
import time

import jax

from hsi_jax.errors import InputError

RESOLVE_SECONDS = 3.0  # a name server may be slow, but a name that is none stays none


def parse_address(coordinator: str, source: str, remedy: str) -> tuple[str, int]:
    """The host and the port of "host:port", an address of IPv6 as "[host]:port".

    Args:
        coordinator: the address.
        source: what told it, for messages.
        remedy: what to do where it is wrong.

    Raises:
        InputError: if it is none, or its name cannot be resolved.
    """
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d+)", coordinator)
    if found is None:
        raise InputError(f"{source}: give HOST:PORT of process 0 (of IPv6 [HOST]:PORT)")
    host, port = found[1] or found[2], int(found[3])
    if not 0 < port < 2**16:
        raise InputError(f"{source}: give HOST:PORT of process 0, with a port of 1 to 65535")
    deadline = time.monotonic() + RESOLVE_SECONDS
    while True:
        try:
            socket.getaddrinfo(host, None)
            return host, port
        except (OSError, UnicodeError) as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"{source}: the name {host} cannot be resolved here ({error}); {remedy}"
                ) from None
        time.sleep(0.2)


def join_address(host: str, port: int) -> str:
    """ "host:port", or "[host]:port" of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bypass_proxy(host: str) -> None:
    """Lets the processes speak to each other directly, whatever http_proxy says."""
    name = "no_grpc_proxy"  # what gRPC reads first
    earlier = os.environ.get(name, os.environ.get("no_proxy", ""))
    os.environ[name] = f"{earlier},{host}" if earlier else host
    jax.config.update("jax_check_proxy_envs", False)  # its warning would mislead


def listen(host: str, port: int, source: str, remedy: str) -> socket.socket:
    """Listens at an address of this machine, and at no other where the host names one of its own.

    Raises:
        InputError: if the port is in use, or the host is another machine.
    """
    address = _own_address(host)
    try:
        return _listen(address, port)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise InputError(
                f"{source}: process 0 cannot listen at this port ({error.strerror}); choose a free "
                f"one: {remedy}"
            ) from None
    listener = _listen("", port)
    try:  # a gateway may pass on what is sent to the host
        socket.create_connection((host, port), timeout=RESOLVE_SECONDS).close()
        return listener
    except OSError as error:
        listener.close()
        raise InputError(
            f"{source}: process 0 is not on the machine {host} ({error}); {remedy}"
        ) from None


def free_port(listener: socket.socket) -> int:
    """A free port at the address of a listener."""
    with _listen(str(listener.getsockname()[0]), 0) as other:
        return other.getsockname()[1]


def _own_address(host: str) -> str:
    """The address to listen at, "" for all."""
    found = sorted(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))  # IPv4 first
    address = str(found[0][4][0])
    local = ipaddress.ip_address(address.partition("%")[0]).is_loopback
    # Debian gives a machine's own name 127.0.1.1, where no other machine finds it.
    return "" if local and not re.fullmatch(r"localhost|127\.[\d.]+|::1", host) else address


def _listen(address: str, port: int) -> socket.socket:
    if address in ("", "::"):
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        return socket.create_server(("", port), family=family, dualstack_ipv6=dual)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family)
