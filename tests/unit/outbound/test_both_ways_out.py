"""The blocking client and the asynchronous one obey the same rules."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

import pytest

from meetbot.outbound.connections import Address, Resolver
from meetbot.outbound.exchange import Call
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.trust import trusted_authorities
from tests.unit.outbound.certificates import self_signed
from tests.unit.outbound.hostile_peer import gzip_bomb, hostile_peer
from tests.unit.outbound.test_hostile_answers import NONSENSE, SLOW
from tests.unit.outbound.ways_out import Terms, WayOut, get, in_the_lane, in_threads, post
from tests.unit.webhooks.receiver import Receiver, Reply, running_receiver

LOOPBACK = ipaddress.ip_address("127.0.0.1")
both = pytest.mark.parametrize("ways", [in_threads, in_the_lane])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def failure(ways: WayOut, call: Call, terms: Terms | None = None) -> OutboundFailed:
    with pytest.raises(OutboundFailed) as caught:
        ways([call], terms or Terms())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


def resolving_to(*addresses: str) -> Resolver:
    def resolver(host: str, port: int, timeout: float) -> Sequence[Address]:
        return [ipaddress.ip_address(address) for address in addresses]

    return resolver


def only_loopback(addresses: Sequence[Address]) -> None:
    if any(address != LOOPBACK for address in addresses):
        raise OutboundFailed("connection_failed", "not allowed", unsent=True)


@both
def test_the_exact_bytes_arrive_with_our_headers(receiver: Receiver, ways: WayOut) -> None:
    receiver.replies = [Reply(201, {"Retry-After": "7"}, b'{"id":1}')]
    (said,) = ways([post(f"http://127.0.0.1:{receiver.port}/a%2Fb?c=d%20e", b'{"a":1}')], Terms())

    (request,) = receiver.received
    assert (said.status, said.body, said.headers.get("retry-after")) == (201, b'{"id":1}', "7")
    assert (request.path, request.body) == ("/a%2Fb?c=d%20e", b'{"a":1}')
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"] == "meetbot-calendar"
    assert request.headers["content-type"] == "application/json"


@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer(receiver: Receiver, status: int, ways: WayOut) -> None:
    receiver.replies = [Reply(status, {"location": f"http://127.0.0.1:{receiver.port}/elsewhere"})]

    assert [said.status for said in ways([post(f"http://127.0.0.1:{receiver.port}/")], Terms())] == [status]
    assert [request.path for request in receiver.received] == ["/"]


@both
def test_proxy_variables_are_not_read(receiver: Receiver, ways: WayOut, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")

    assert ways([post(f"http://127.0.0.1:{receiver.port}/")], Terms())[0].status == 204


@both
def test_credentials_of_a_netrc_file_are_not_read(
    receiver: Receiver, ways: WayOut, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    ways([post(f"http://127.0.0.1:{receiver.port}/")], Terms())

    assert "authorization" not in receiver.received[0].headers


@both
def test_no_cookie_is_kept(receiver: Receiver, ways: WayOut) -> None:
    receiver.replies = [Reply(204, {"Set-Cookie": "session=anns; Path=/"})]
    ways([post(f"http://127.0.0.1:{receiver.port}/")] * 2, Terms())

    assert ["cookie" in request.headers for request in receiver.received] == [False, False]


@both
def test_nothing_is_sent_where_nobody_listens(ways: WayOut) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failed = failure(ways, post(f"http://127.0.0.1:{unused.getsockname()[1]}/"))

    assert (failed.code, failed.unsent) == ("connection_failed", True)


@both
def test_a_name_that_does_not_resolve_is_told_apart(ways: WayOut, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failed = failure(ways, post("http://bots.example/"))

    assert (failed.code, failed.unsent) == ("dns_failed", True)


@both
def test_an_address_that_is_not_allowed_is_not_dialled(receiver: Receiver, ways: WayOut) -> None:
    mixed = Terms(guard=only_loopback, resolver=resolving_to("127.0.0.1", "127.0.0.2"))

    assert failure(ways, post(f"http://bots.example:{receiver.port}/"), mixed).unsent
    assert failure(ways, post(f"http://127.0.0.2:{receiver.port}/"), Terms(guard=only_loopback)).unsent
    assert receiver.received == []


@both
def test_a_peer_that_hangs_up_may_have_done_what_was_asked(ways: WayOut) -> None:
    with hostile_peer([]) as peer:
        failed = failure(ways, post(peer.url))

    assert failed.code in {"protocol_error", "connection_failed"}, "as the peer's system closes what it had not read"
    assert not failed.unsent
    assert len([request for request in peer.requests if request]) == 1, "none is repeated"


@both
def test_a_silent_peer_may_have_done_what_was_asked(ways: WayOut) -> None:
    with hostile_peer(repeat(b"", 100), pause=0.05) as peer:
        failed = failure(ways, post(peer.url), Terms(seconds=0.3))

    assert (failed.code, failed.unsent) == ("timeout", False)


@both
def test_a_request_that_got_no_connection_in_time_was_not_sent(ways: WayOut) -> None:
    # What is not accepted fills the queue of the listener, and the next one is not answered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        try:
            failed = failure(ways, post(f"http://127.0.0.1:{address[1]}/"), Terms(seconds=0.3))
        finally:
            for one in waiting:
                one.close()

    assert (failed.code, failed.unsent) in {("timeout", True), ("connection_failed", True)}


@both
@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_peer_is_left_at_the_deadline(kind: str, ways: WayOut) -> None:
    with hostile_peer(SLOW[kind], pause=0.05) as peer:
        failed = failure(ways, get(peer.url), Terms(seconds=0.5))

    assert (failed.code, failed.unsent) == ("timeout", False)


# What is wrong with these is only seen by who reads the JSON.
_WHOLE_ANSWERS = {"deep JSON", "invalid UTF-8"}
_WRONG: dict[str, Iterable[bytes]] = {kind: pieces for kind, pieces in NONSENSE.items() if kind not in _WHOLE_ANSWERS}


@both
@pytest.mark.parametrize("accept_gzip", [True, False])
@pytest.mark.parametrize("kind", _WRONG)
def test_a_nonsensical_answer_is_an_error_of_ours(kind: str, accept_gzip: bool, ways: WayOut) -> None:
    with hostile_peer(_WRONG[kind]) as peer:
        failed = failure(ways, get(peer.url), Terms(accept_gzip=accept_gzip))

    assert failed.code in {"protocol_error", "answer_too_large", "connection_failed"}
    assert not failed.unsent


@both
def test_a_packed_answer_is_unpacked_if_it_was_asked_for(ways: WayOut) -> None:
    packed = gzip_bomb(1000)
    with hostile_peer([packed]) as peer:
        assert ways([get(peer.url)], Terms(accept_gzip=True))[0].body == b"0" * 1000
        assert failure(ways, get(peer.url)).code == "protocol_error"
    assert b"\r\naccept-encoding: gzip\r\n" in peer.requests[0].lower()


@both
def test_a_gzip_bomb_costs_no_memory(ways: WayOut) -> None:
    with hostile_peer([gzip_bomb()]) as peer:
        tracemalloc.start()
        try:
            failed = failure(ways, get(peer.url), Terms(accept_gzip=True))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert failed.code == "answer_too_large"
    assert most < 8 << 20


@both
def test_a_header_that_fits_no_request_is_an_error_of_ours(receiver: Receiver, ways: WayOut) -> None:
    failed = failure(ways, get(f"http://127.0.0.1:{receiver.port}/", {"Authorization": "Bearer a\r\nX: b"}))

    assert failed.code == "protocol_error"
    assert receiver.received == []


@both
def test_a_host_with_another_certificate_is_not_spoken_to(ways: WayOut, tmp_path: Path) -> None:
    chain = self_signed("bots.example", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    trust = ssl.create_default_context(cafile=str(chain))
    with running_receiver(tls=context) as receiver:
        at_loopback = resolving_to("127.0.0.1")
        url, other = f"https://bots.example:{receiver.port}/", f"https://other.example:{receiver.port}/"

        assert ways([post(url)], Terms(trust=trust, resolver=at_loopback))[0].status == 204
        for terms, call in (
            (Terms(resolver=at_loopback), post(url)),
            (Terms(trust=trust, resolver=at_loopback), post(other)),
        ):
            failed = failure(ways, call, terms)
            assert (failed.code, failed.unsent) == ("tls_failed", True)
        assert len(receiver.received) == 1


@both
def test_an_authority_of_the_operators_own_is_believed(
    ways: WayOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = self_signed("bots.example", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    with running_receiver(tls=context) as receiver:
        terms = Terms(trust=trusted_authorities(), resolver=resolving_to("127.0.0.1"))
        assert ways([post(f"https://bots.example:{receiver.port}/")], terms)[0].status == 204
