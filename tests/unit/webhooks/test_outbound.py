from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from meetbot.settings import Network
from meetbot.webhooks import outbound as outbound_module
from meetbot.webhooks.destinations import Address, DestinationRefused, parse_destination
from meetbot.webhooks.outbound import EndpointAnswer, Outbound, OutboundFailed, Resolver, resolve
from tests.unit.outbound.certificates import self_signed
from tests.unit.webhooks.receiver import Receiver, Reply, running_receiver

ALLOWED: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.1/32"),)
ALLOWED_ADDRESS = ipaddress.ip_address("127.0.0.1")
INNER_ADDRESS = ipaddress.ip_address("127.0.0.2")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def resolving_to(*answers: Sequence[Address]) -> Resolver:
    left = list(answers)

    def resolver(host: str, port: int, timeout: float) -> Sequence[Address]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolver


def post(outbound: Outbound, url: str, body: bytes = b"{}") -> EndpointAnswer:
    return outbound.post(url, body, {"content-type": "application/json"})


def failure(send: Callable[[], object]) -> str:
    with pytest.raises((OutboundFailed, DestinationRefused)) as raised:
        send()
    assert isinstance(raised.value, OutboundFailed | DestinationRefused)
    return raised.value.code


def test_the_exact_bytes_arrive_with_their_headers(receiver: Receiver) -> None:
    answer = post(Outbound(ALLOWED), f"http://127.0.0.1:{receiver.port}/hook?a=b", b'{"a":1}')

    request = receiver.received[0]
    assert answer == EndpointAnswer(204)
    assert (request.path, request.body) == ("/hook?a=b", b'{"a":1}')
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-type"] == "application/json"


def test_an_ipv6_host_header_is_in_brackets() -> None:
    header = outbound_module._host_header(parse_destination("https://[2606:4700::1111]:8443/"))

    assert header == "[2606:4700::1111]:8443"


def test_nothing_is_dialled_without_the_operators_leave(receiver: Receiver) -> None:
    assert failure(lambda: post(Outbound(), f"http://127.0.0.1:{receiver.port}/")) == "destination_not_allowed"
    assert receiver.received == []


def test_a_name_that_leads_inside_is_not_dialled(receiver: Receiver) -> None:
    outbound = Outbound(resolver=resolving_to([ALLOWED_ADDRESS]))

    assert failure(lambda: post(outbound, "https://example.com/")) == "destination_not_allowed"


def test_a_mixed_answer_dials_nothing(receiver: Receiver) -> None:
    outbound = Outbound(ALLOWED, resolver=resolving_to([ALLOWED_ADDRESS, INNER_ADDRESS]))

    assert failure(lambda: post(outbound, f"http://hook.test:{receiver.port}/")) == "destination_not_allowed"
    assert receiver.received == []


def test_a_name_rebound_after_the_first_delivery_is_judged_again(receiver: Receiver) -> None:
    outbound = Outbound(ALLOWED, resolver=resolving_to([ALLOWED_ADDRESS], [INNER_ADDRESS]))
    url = f"http://hook.test:{receiver.port}/"

    assert post(outbound, url).status == 204
    assert failure(lambda: post(outbound, url)) == "destination_not_allowed"
    assert len(receiver.received) == 1


def test_a_name_is_resolved_once_per_delivery(receiver: Receiver) -> None:
    asked: list[str] = []

    def resolver(host: str, port: int, timeout: float) -> Sequence[Address]:
        asked.append(host)
        return [ALLOWED_ADDRESS]

    post(Outbound(ALLOWED, resolver=resolver), f"http://hook.test:{receiver.port}/")

    assert asked == ["hook.test"]


def test_the_peers_address_is_checked_once_connected(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_connection

    def diverted(address: tuple[str, int], timeout: float) -> socket.socket:
        return real(("127.0.0.1", receiver.port), timeout=timeout)

    monkeypatch.setattr(socket, "create_connection", diverted)
    outbound = Outbound(resolver=resolving_to([ipaddress.ip_address("8.8.8.8")]))

    assert failure(lambda: post(outbound, "https://example.com/")) == "connection_failed"
    assert receiver.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.replies = [Reply(status, {"location": f"http://127.0.0.1:{receiver.port}/elsewhere"})]

    assert post(Outbound(ALLOWED), f"http://127.0.0.1:{receiver.port}/hook").status == status
    assert [request.path for request in receiver.received] == ["/hook"]


def test_proxy_variables_are_not_read(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")

    assert post(Outbound(ALLOWED), f"http://127.0.0.1:{receiver.port}/").status == 204


def test_the_wish_to_be_asked_later_is_passed_on(receiver: Receiver) -> None:
    receiver.replies = [Reply(503, {"Retry-After": "120"})]

    assert post(Outbound(ALLOWED), f"http://127.0.0.1:{receiver.port}/") == EndpointAnswer(503, "120")


def test_an_endless_answer_is_cut_off(receiver: Receiver) -> None:
    receiver.replies = [Reply(200, body=b"x" * 20_000_000)]

    assert post(Outbound(ALLOWED), f"http://127.0.0.1:{receiver.port}/").status == 200


def test_a_closed_port_is_a_failed_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        assert failure(lambda: post(Outbound(ALLOWED), f"http://127.0.0.1:{port}/")) == "connection_failed"


@contextmanager
def peer(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that takes one connection and does with it what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connected, _ = server.accept()
            with connected:
                talk(connected)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(timeout=5)


def read_request(connected: socket.socket) -> None:
    seen = b""
    while not seen.endswith(b"\r\n\r\n{}"):
        seen += connected.recv(65536)


def test_an_answer_that_is_not_http_is_a_protocol_error() -> None:
    def talk(connected: socket.socket) -> None:
        read_request(connected)
        connected.sendall(b"220 mail.example.com ESMTP\r\n")

    with peer(talk) as port:
        assert failure(lambda: post(Outbound(ALLOWED), f"http://127.0.0.1:{port}/")) == "protocol_error"


def test_a_peer_that_hangs_up_is_a_failure() -> None:
    with peer(read_request) as port:
        assert failure(lambda: post(Outbound(ALLOWED), f"http://127.0.0.1:{port}/")) == "protocol_error"


def test_a_silent_peer_runs_into_the_deadline() -> None:
    done = threading.Event()

    def talk(connected: socket.socket) -> None:
        done.wait(5)

    with peer(talk) as port:
        outbound = Outbound(ALLOWED, deadline_seconds=0.2)
        assert failure(lambda: post(outbound, f"http://127.0.0.1:{port}/")) == "timeout"
        done.set()


def test_a_peer_that_drips_bytes_cannot_stretch_the_deadline() -> None:
    """Each byte comes in time, all of them together do not.

    The clock moves on by a second with every look at it.
    """
    seconds = iter(range(1000))

    def talk(connected: socket.socket) -> None:
        read_request(connected)
        with connected.makefile("wb", buffering=0) as stream:
            try:
                for byte in b"HTTP/1.1 200 OK\r\nx-drip: " + b"a" * 100_000:
                    stream.write(bytes([byte]))
            except OSError:
                return

    with peer(talk) as port:
        outbound = Outbound(ALLOWED, clock=lambda: float(next(seconds)))
        assert failure(lambda: post(outbound, f"http://127.0.0.1:{port}/")) == "timeout"


def test_a_resolver_that_does_not_answer_is_given_up() -> None:
    answered = threading.Event()

    def never(*args: object, **kwargs: object) -> list[object]:
        answered.wait(5)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", never)
        assert failure(lambda: resolve("hook.test", 443, 0.05)) == "dns_failed"
    answered.set()


def test_an_unknown_name_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert failure(lambda: resolve("hook.test", 443, 1.0)) == "dns_failed"


def test_the_systems_resolver_answers_with_addresses() -> None:
    assert resolve("127.0.0.1", 443, 5.0) == (ALLOWED_ADDRESS,)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate for hook.test in one file."""
    return self_signed("hook.test", tmp_path_factory.mktemp("tls"))


@contextmanager
def tls_receiver(certificate: Path, names: list[str | None]) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda connection, name, _: names.append(name)
    with running_receiver(tls=context) as running:
        yield running


def test_tls_names_and_verifies_the_host_although_an_address_is_dialled(certificate: Path) -> None:
    names: list[str | None] = []
    trust = ssl.create_default_context(cafile=str(certificate))
    outbound = Outbound(ALLOWED, trust=trust, resolver=resolving_to([ALLOWED_ADDRESS]))

    with tls_receiver(certificate, names) as running:
        assert post(outbound, f"https://hook.test:{running.port}/").status == 204
    assert names == ["hook.test"]


def test_a_certificate_for_another_name_is_refused(certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    outbound = Outbound(ALLOWED, trust=trust, resolver=resolving_to([ALLOWED_ADDRESS]))

    with tls_receiver(certificate, []) as running:
        assert failure(lambda: post(outbound, f"https://other.test:{running.port}/")) == "tls_failed"
    assert running.received == []


def test_an_authority_of_the_operators_own_is_believed_beside_the_public_ones(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    outbound = Outbound(ALLOWED, resolver=resolving_to([ALLOWED_ADDRESS]))
    authorities = [str(authority["subject"]) for authority in outbound.trust.get_ca_certs()]

    with tls_receiver(certificate, []) as running:
        assert post(outbound, f"https://hook.test:{running.port}/").status == 204
    assert any("hook.test" in subject for subject in authorities)
    assert any("Google Trust Services" in subject for subject in authorities)


def test_a_certificate_of_an_unknown_authority_is_refused(certificate: Path) -> None:
    outbound = Outbound(ALLOWED, resolver=resolving_to([ALLOWED_ADDRESS]))

    with tls_receiver(certificate, []) as running:
        assert failure(lambda: post(outbound, f"https://hook.test:{running.port}/")) == "tls_failed"
