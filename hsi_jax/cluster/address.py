"""The address at which processes meet: process 0 serves there, the others reach it."""

import re
import socket
import time

from hsi_jax.errors import InputError

RESOLVE_SECONDS = 3.0  # a name server may be slow, but a name that is none stays none


def check_address(
    coordinator: str, source: str, *, serves: bool, patience: float, remedy: str
) -> str:
    """Checks the address in advance, because JAX would wait long and say little.

    Args:
        coordinator: "host:port", an address of IPv6 as "[host]:port".
        source: what told it, for messages.
        serves: whether this is process 0.
        patience: seconds in which process 0 must come.
        remedy: what to do where it is wrong.

    Returns:
        The host.

    Raises:
        InputError: if it is none, its name cannot be resolved, or it cannot be used or reached.
    """
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d+)", coordinator)
    if found is None:
        raise InputError(f"{source}: give HOST:PORT of process 0 (of IPv6 [HOST]:PORT)")
    host, port = found[1] or found[2], int(found[3])
    if not 0 < port < 2**16:
        raise InputError(f"{source}: give HOST:PORT of process 0, with a port of 1 to 65535")
    _resolve(host, source, remedy)
    if serves:
        _serve(host, port, source, remedy)
    else:
        _reach(host, port, patience, source, remedy)
    return host


def _resolve(host: str, source: str, remedy: str) -> None:
    deadline = time.monotonic() + RESOLVE_SECONDS
    while True:
        try:
            socket.getaddrinfo(host, None)
            return
        except (OSError, UnicodeError) as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"{source}: the name {host} cannot be resolved here ({error}); {remedy}"
                ) from None
        time.sleep(0.2)


def _serve(host: str, port: int, source: str, remedy: str) -> None:
    """Process 0 must be able to listen at the port, and be found at the address."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        with socket.create_server(("", port), family=family, dualstack_ipv6=dual):
            pass
    except OSError as error:
        raise InputError(
            f"{source}: process 0 cannot serve at this port ({error}); choose a free one: {remedy}"
        ) from None
    try:
        with socket.create_server(("", 0), family=family, dualstack_ipv6=dual) as listener:
            own = listener.getsockname()[1]
            socket.create_connection((host, own), timeout=RESOLVE_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"{source}: process 0 is not on the machine {host} ({error}); {remedy}"
        ) from None


def _reach(host: str, port: int, patience: float, source: str, remedy: str) -> None:
    """Process 0 may still be starting."""
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"{source} cannot be reached after {patience:g} s ({error}); {remedy}"
                ) from None
        time.sleep(0.2)
