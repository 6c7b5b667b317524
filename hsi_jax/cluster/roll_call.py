"""Who takes part in a run: every process reports to process 0, and hears when another is lost.

JAX's own service takes a second process of the same number for the first one started again, and
ends the run; when a process dies, it ends the others by abort(), names it after 30 s or never, and
cannot say who is missing at the start (tests/cluster/test_roll_call.py). So it listens at a port
that only those are told whom process 0 has admitted here.

A message is a line of JSON. Nobody proves who they are: whoever reaches the port can take the place
of a process that has not come yet, or end one that is not his.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from hsi_jax.errors import InputError

PROTOCOL = 1
MAX_LINE = 4096  # bytes of a message
HELLO_SECONDS = 10.0  # in which a connection must say who it is, and process 0 must answer
MAX_STRANGERS = 64  # connections that have not yet said who they are

Lost = Callable[[int, str], object]


def _send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):  # whoever is gone is noticed elsewhere
        connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(file: BinaryIO) -> dict[str, Any] | None:
    """The next message; None at the end, after a silence, or if it is none."""
    try:
        message = json.loads(file.readline(MAX_LINE))
    except (OSError, ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


class Host:
    """The roll call of process 0.

    Args:
        listener: where the others connect.
        count: number of processes, this one included.
        on_lost: called once, with the number of the process that is lost and what it said.
    """

    def __init__(self, listener: socket.socket, count: int, on_lost: Lost):
        self._listener, self._count, self._on_lost = listener, count, on_lost
        self._members: dict[int, socket.socket] = {}
        self._change = threading.Condition()
        self._ended = False
        self._strangers = threading.Semaphore(MAX_STRANGERS)
        threading.Thread(target=self._accept, name="roll call", daemon=True).start()

    def admit_all(self, seconds: float, ports: list[int]) -> None:
        """Waits until all are there, and tells them the ports of JAX's service.

        Raises:
            InputError: if somebody is missing after `seconds`.
        """
        with self._change:
            if not self._change.wait_for(lambda: len(self._members) + 1 == self._count, seconds):
                missing = sorted(set(range(1, self._count)) - self._members.keys())
                raise InputError(
                    f"process 0 waited {seconds:g} s for {self._count} processes, but "
                    f"{_name(missing)} did not come; start every one with the same coordinator and "
                    f"number of processes"
                )
            self._tell_all({"ports": ports})

    def close(self) -> None:
        """Lets nobody come any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits there
        self._listener.close()

    def fail(self, reason: str) -> None:
        """Tells the others why this process ends."""
        self.report(0, reason)

    def report(self, rank: int, reason: str) -> None:
        """Tells all that a process is lost, as JAX has found."""
        with self._change:
            if not self._ended:
                self._ended = True
                self._tell_all({"lost": rank, "reason": reason})

    def finish(self) -> None:
        """Tells the others that this process ends as it should."""
        with self._change:
            self._tell_all({"finished": True})

    def _tell_all(self, message: Mapping[str, Any]) -> None:
        for member in self._members.values():
            _send(member, message)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._listener.fileno() < 0:
                    return
                time.sleep(0.5)  # no descriptors are left, for a while
                continue
            if self._strangers.acquire(blocking=False):
                threading.Thread(target=self._attend, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def _attend(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            try:
                connection.settimeout(HELLO_SECONDS)
                rank = self._admit(connection, _receive(file))
            finally:
                self._strangers.release()
            if rank is None:
                return
            connection.settimeout(None)
            finished, reason = False, ""
            while message := _receive(file):
                finished = "finished" in message
                reason = str(message.get("failed", ""))
                if "lost" in message:
                    self._lose(int(message["lost"]), str(message.get("reason", "")))
            if not finished:
                self._lose(rank, reason)

    def _admit(self, connection: socket.socket, hello: dict[str, Any] | None) -> int | None:
        """The number of the process that a connection speaks for, None if it is refused."""
        if hello is None or hello.get("protocol") != PROTOCOL:
            return None
        rank, count = hello.get("rank"), hello.get("count")
        with self._change:
            if count != self._count:
                refusal = f"process 0 was started for {self._count} processes, this one for {count}"
            elif not isinstance(rank, int) or not 0 < rank < self._count or rank in self._members:
                refusal = f"another process has number {rank} already; give each its own"
            else:
                self._members[rank] = connection
                _send(connection, {"welcome": True})
                self._change.notify_all()
                return rank
        _send(connection, {"refused": refusal})
        return None

    def _lose(self, rank: int, reason: str) -> None:
        with self._change:
            if self._ended:
                return
            self._ended = True
            self._tell_all({"lost": rank, "reason": reason})
        self._on_lost(rank, reason)


class Member:
    """The roll call of another process; arguments as for `Host`.

    Args:
        address: host and port of process 0.
        rank: number of this process.
        count: number of processes.
        on_lost: see `Host`.
        patience: seconds in which process 0 must come.

    Raises:
        OSError: if process 0 is not reached.
        InputError: if it does not admit this process, or something else listens there.
    """

    def __init__(
        self, address: tuple[str, int], rank: int, count: int, *, on_lost: Lost, patience: float
    ):
        self._on_lost = on_lost
        self._connection = _connect(address, patience)
        self._file = self._connection.makefile("rb")
        self._connection.settimeout(HELLO_SECONDS)
        _send(self._connection, {"protocol": PROTOCOL, "rank": rank, "count": count})
        answer = _receive(self._file) or {}
        if "welcome" in answer:
            return
        self.close()
        if "refused" in answer:
            raise InputError(f"process {rank} is not admitted: {answer['refused']}")
        raise InputError(
            "another program listens at this port, not process 0 of this run; choose a free port"
        )

    def close(self) -> None:
        """Ends the connection; process 0 takes this process for lost, unless it has finished."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._file.close()
        self._connection.close()

    def ports(self, seconds: float) -> list[int]:
        """The ports of JAX's service, once all are there; from then on, it is heard who is lost.

        Raises:
            InputError: if process 0 ends, or says nothing for `seconds`.
        """
        self._connection.settimeout(seconds)
        answer = _receive(self._file) or {}
        if "ports" not in answer:
            reason = answer.get("reason") or "it ended before all had come"
            raise InputError(f"process {answer.get('lost', 0)} ended the start: {reason}")
        self._connection.settimeout(None)
        threading.Thread(target=self._listen, name="roll call", daemon=True).start()
        return answer["ports"]

    def fail(self, reason: str) -> None:
        """See `Host.fail`."""
        _send(self._connection, {"failed": reason})

    def report(self, rank: int, reason: str) -> None:
        """See `Host.report`."""
        _send(self._connection, {"lost": rank, "reason": reason})

    def finish(self) -> None:
        """See `Host.finish`."""
        _send(self._connection, {"finished": True})

    def _listen(self) -> None:
        finished = False
        while message := _receive(self._file):
            if "lost" in message:
                self._on_lost(int(message["lost"]), str(message.get("reason", "")))
                return
            finished = finished or "finished" in message
        if not finished:
            self._on_lost(0, "")


def _connect(address: tuple[str, int], patience: float) -> socket.socket:
    deadline = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection(address, timeout=1)
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _name(ranks: list[int]) -> str:
    names = ", ".join(map(str, ranks[:8])) + (" and others" if len(ranks) > 8 else "")
    return f"process{'es' if len(ranks) > 1 else ''} {names}"
