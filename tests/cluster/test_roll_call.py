"""Who may take part, who is lost, and who listens where; without JAX."""

import queue
import socket

import pytest

from hsi_jax.cluster import address, roll_call
from hsi_jax.cluster.address import free_port, join_address, listen, parse_address
from hsi_jax.cluster.roll_call import Host, Member
from hsi_jax.errors import InputError

PORTS = [7, 8]
SECONDS = 10


class Call:
    """A roll call of this process, and what each of its processes hears."""

    def __init__(self, count):
        self.count, self.members = count, []
        self.heard = [queue.Queue() for _ in range(count)]
        self.listener = listen("127.0.0.1", 0, "SOURCE", "REMEDY")
        self.address = self.listener.getsockname()
        self.host = Host(self.listener, count, lambda *lost: self.heard[0].put(lost))

    def member(self, rank, count=None):
        def hear(*lost):
            self.heard[rank].put(lost)

        member = Member(self.address, rank, count or self.count, on_lost=hear, patience=1)
        self.members.append(member)
        return member

    def complete(self):
        """All members, admitted."""
        members = [self.member(rank) for rank in range(1, self.count)]
        self.host.admit_all(SECONDS, PORTS)
        assert [member.ports(SECONDS) for member in members] == [PORTS] * len(members)
        return members

    def silent(self):
        return all(heard.empty() for heard in self.heard)


@pytest.fixture
def call():
    calls = []

    def make(count):
        calls.append(Call(count))
        return calls[-1]

    yield make
    for each in calls:
        each.host.finish()
        for member in each.members:
            member.finish()
            member.close()
        each.host.close()


def test_all_hear_who_was_lost(call):
    three = call(3)
    members = three.complete()
    assert three.silent()
    members[0].close()
    assert three.heard[0].get(timeout=SECONDS) == (1, "")
    assert three.heard[2].get(timeout=SECONDS) == (1, "")


def test_all_hear_why_one_failed(call):
    three = call(3)
    members = three.complete()
    members[1].fail("no room")
    members[1].close()
    assert three.heard[0].get(timeout=SECONDS) == (2, "no room")
    assert three.heard[1].get(timeout=SECONDS) == (2, "no room")


@pytest.mark.parametrize("reporter", [0, 2])
def test_all_hear_whom_jax_has_lost_from_whoever_finds_it_first(call, reporter):
    three = call(3)
    members = three.complete()
    if reporter == 0:
        three.host.report(1, "silent")
    else:
        members[1].report(1, "silent")
        members[1].close()
        assert three.heard[0].get(timeout=SECONDS) == (1, "silent")
    assert three.heard[1].get(timeout=SECONDS) == (1, "silent")


def test_all_hear_why_process_0_failed(call):
    two = call(2)
    two.complete()
    two.host.fail("a folder that is only read")
    assert two.heard[1].get(timeout=SECONDS) == (0, "a folder that is only read")


def test_who_has_finished_is_not_lost(call):
    two = call(2)
    (member,) = two.complete()
    member.finish()
    member.close()
    with pytest.raises(queue.Empty):
        two.heard[0].get(timeout=0.5)


def test_a_number_given_twice_is_told_the_second_alone(call):
    two = call(2)
    member = two.member(1)
    with pytest.raises(InputError, match="number 1 already"):
        two.member(1)
    two.host.admit_all(SECONDS, PORTS)
    assert member.ports(SECONDS) == PORTS
    with pytest.raises(InputError, match="number 1 already"):
        two.member(1)
    assert two.silent()


def test_another_number_of_processes_is_refused(call):
    with pytest.raises(InputError, match="started for 2 processes, this one for 3"):
        call(2).member(1, count=3)


def test_who_is_missing_is_named(call):
    four = call(4)
    member = four.member(2)
    with pytest.raises(InputError, match="processes 1, 3 did not come") as raised:
        four.host.admit_all(0.1, PORTS)
    four.host.fail(str(raised.value))
    with pytest.raises(InputError, match="processes 1, 3 did not come"):
        member.ports(SECONDS)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 10_000,
        b"[" * 4000 + b"\n",
        b"{}\n",
        b'{"protocol": 1}\n',
        b'{"protocol": 1, "rank": 0, "count": 2}\n',
        b'{"protocol": 1, "rank": [1], "count": 2}\n',
        b'{"protocol": 1, "rank": 1e99, "count": 2}\n',
    ],
)
def test_strangers_do_no_harm(call, said):
    two = call(2)
    before, (member,) = socket.create_connection(two.address), two.complete()
    after = socket.create_connection(two.address)
    for stranger in (before, after):
        stranger.sendall(said)
        stranger.close()
    assert two.silent()
    member.close()
    assert two.heard[0].get(timeout=SECONDS) == (1, "")


def test_idle_strangers_are_few_and_go(call, monkeypatch):
    monkeypatch.setattr(roll_call, "MAX_STRANGERS", 3)
    monkeypatch.setattr(roll_call, "HELLO_SECONDS", 0.5)
    two = call(2)
    idle = [socket.create_connection(two.address, timeout=SECONDS) for _ in range(10)]
    assert [stranger.recv(1) for stranger in idle] == [b""] * 10
    assert two.complete()
    for stranger in idle:
        stranger.close()


def test_another_program_at_the_port_is_told_as_such(monkeypatch):
    monkeypatch.setattr(roll_call, "HELLO_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(InputError, match="another program listens"),
    ):
        Member(other.getsockname(), 1, 2, on_lost=print, patience=1)


@pytest.mark.parametrize(
    ("host", "listens"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1")]
)
def test_one_machine_listens_to_itself_alone(host, listens):
    with listen(host, 0, "SOURCE", "REMEDY") as listener:
        assert listener.getsockname()[0] == listens
        assert free_port(listener) > 0


def test_a_machine_that_calls_itself_local_listens_to_the_others(monkeypatch):
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *args, **kwargs: [(2, 1, 6, "", ("127.0.1.1", 0))]
    )
    assert address._own_address("node1") == ""
    assert address._own_address("localhost") == "127.0.1.1"


def test_a_port_in_use_is_told_at_once():
    with listen("127.0.0.1", 0, "SOURCE", "REMEDY") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=r"SOURCE.*cannot listen at this port.*REMEDY"):
            listen("127.0.0.1", port, "SOURCE", "REMEDY")


def test_addresses():
    assert parse_address("127.0.0.1:99", "SOURCE", "REMEDY") == ("127.0.0.1", 99)
    assert parse_address("[::1]:99", "SOURCE", "REMEDY") == ("::1", 99)
    assert join_address("::1", 99) == "[::1]:99"
    assert join_address("node1", 99) == "node1:99"
    with pytest.raises(InputError, match=r"nowhere\.invalid cannot be resolved.*REMEDY"):
        parse_address("nowhere.invalid:99", "SOURCE", "REMEDY")
    with pytest.raises(InputError, match=r"not on the machine 192\.0\.2\.1.*REMEDY"):
        listen("192.0.2.1", 0, "SOURCE", "REMEDY")  # an address that is nobody's
    for wrong in ("host", "host:0", "host:70000", "fe80::1:99", "[::1]"):
        with pytest.raises(InputError, match="give HOST:PORT"):
            parse_address(wrong, "SOURCE", "REMEDY")
