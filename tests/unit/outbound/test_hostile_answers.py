"""Whatever a peer answers, our clients end in time and in our own errors."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from itertools import repeat

import httpx
import pytest

from meetbot.backends import meetbot as backend_module
from meetbot.backends.base import BotRequest
from meetbot.backends.meetbot import MeetbotBackend
from meetbot.domain.event import Provider
from meetbot.errors import BackendUnavailable, RetryLater, VaultError
from meetbot.outbound.deadline import Deadline
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.lane import Lane
from meetbot.outbound.transport import build_http_client
from meetbot.providers.http import json_object, send
from meetbot.vault.client import TokenAuth, Vault
from meetbot.webhooks.outbound import Outbound
from tests.unit.outbound.hostile_peer import DEEP, answer, gzip_bomb, hostile_peer

SECONDS = 0.5
REQUEST = BotRequest("bot_a.1", "https://zoom.us/j/123456789", datetime(2026, 1, 5, tzinfo=UTC), "Notetaker")
Call = Callable[[str], object]


@contextmanager
def backend_at(url: str) -> Iterator[MeetbotBackend]:
    lane = Lane(connections=2, accept_gzip=False)
    with build_http_client(connections=2, accept_gzip=False) as http:
        yield MeetbotBackend(base_url=url, api_key="k", report_url="https://us.example", client=http, lane=lane)


def ask_backend(url: str) -> object:
    with backend_at(url) as backend, pytest.raises(BackendUnavailable) as caught:
        backend.progress("job_1")
    assert not caught.value.nothing_done
    return caught.value.code


def ask_backend_in_the_lane(url: str) -> object:
    async def ask() -> None:
        lane = Lane(connections=2, accept_gzip=False)
        try:
            await MeetbotBackend(
                base_url=url, api_key="k", report_url="https://us.example", client=httpx.Client(), lane=lane
            ).create_async(REQUEST)
        finally:
            await lane.close()

    with pytest.raises(BackendUnavailable) as caught:
        asyncio.run(ask())
    assert not caught.value.nothing_done
    return caught.value.code


def ask_provider(url: str) -> object:
    def fetch() -> object:
        whole = send(http, "GET", url, provider=Provider.GOOGLE, deadline=Deadline(SECONDS), limit=1 << 20)
        return json_object(whole, Provider.GOOGLE)

    with build_http_client(connections=2, accept_gzip=True) as http, pytest.raises(RetryLater) as caught:
        fetch()
    return caught.value.code


def ask_vault(url: str) -> object:
    with closing(Vault(url, TokenAuth("t"), timeout=(0.1, 0.2))) as vault, pytest.raises(VaultError) as caught:
        vault.new_data_key("ten_a")
    assert caught.value.__suppress_context__
    return caught.value.code


@pytest.fixture(autouse=True)
def _short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "_CALL_SECONDS", SECONDS)


STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, Iterable[bytes]] = {
    "headers dripping": [STATUS_LINE, *repeat(b"X-A: b\r\n", 200)],
    "one header dripping": [STATUS_LINE + b"X-A: ", *repeat(b"b", 200)],
    "body dripping": [answer(b"", length=200), *repeat(b" ", 200)],
    "interim answers dripping": repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 200),
    "silence": repeat(b"", 200),
    "a body shorter than claimed, kept open": [answer(b"{}", length=5000), *repeat(b"", 200)],
}
NONSENSE: dict[str, Iterable[bytes]] = {
    "endless headers": [STATUS_LINE, *repeat(b"X-A: " + b"b" * 1000 + b"\r\n", 2000)],
    "one endless header": [STATUS_LINE + b"X-A: ", *repeat(b"b" * 1000, 2000)],
    "a wrong length": [answer(b'{"id":"a"}', "Content-Length: 3")],
    "a negative length": [answer(b"{}", length=-1)],
    "a body cut off": [answer(b'{"id":"job_1"', length=5000)],
    "a long body": [answer(b'{"id":"' + b"a" * (1 << 20) + b'"}')],
    "an endless body": [b"HTTP/1.1 200 OK\r\n\r\n{", *repeat(b" " * 65536, 100_000)],
    "deep JSON": [answer(DEEP)],
    "invalid UTF-8": [answer(b'{"id":"\xff\xfe"}')],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "an encoding not asked for": [answer(b"{}", "Content-Encoding: br")],
    "twice packed": [answer(b"{}", "Content-Encoding: gzip, gzip")],
    "packed and unfinished": [answer(b"\x1f\x8b\x08\0\0\0\0\0\0\3", "Content-Encoding: gzip")],
}


@pytest.mark.parametrize("ask", [ask_backend, ask_backend_in_the_lane, ask_provider, ask_vault])
@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_peer_is_left_at_the_deadline(kind: str, ask: Call) -> None:
    with hostile_peer(SLOW[kind], pause=0.05) as peer:
        assert ask(peer.url) in {"backend_unreachable", "provider_timeout", "vault_unreachable"}


@pytest.mark.parametrize("ask", [ask_backend, ask_backend_in_the_lane, ask_provider, ask_vault])
@pytest.mark.parametrize("kind", NONSENSE)
def test_a_nonsensical_peer_is_an_error_of_ours(kind: str, ask: Call) -> None:
    with hostile_peer(NONSENSE[kind]) as peer:
        ask(peer.url)


@pytest.mark.parametrize("ask", [ask_backend, ask_backend_in_the_lane, ask_provider, ask_vault])
def test_a_gzip_bomb_costs_no_memory(ask: Call) -> None:
    with hostile_peer([gzip_bomb()]) as peer:
        tracemalloc.start()
        try:
            ask(peer.url)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 8 << 20


@pytest.mark.parametrize("number", ["1" + "0" * 300, "-1", "true", "9" * 30, "1e30"], ids=lambda number: number[:6])
def test_a_huge_number_is_no_duration(number: str) -> None:
    body = b'{"id":"job_1","status":"completed","recordedSeconds":%s}' % number.encode()
    with hostile_peer([answer(body)]) as peer, backend_at(peer.url) as backend:
        assert backend.progress("job_1").recorded_seconds is None


def test_a_packed_answer_that_drips_ends_at_the_deadline() -> None:
    begun = answer(b"\x1f\x8b\x08", "Content-Encoding: gzip", length=200)
    with hostile_peer([begun, *repeat(b"\0", 100)], pause=0.05) as peer:
        assert ask_provider(peer.url) == "provider_timeout"


def test_the_backend_is_asked_for_nothing_packed() -> None:
    with hostile_peer([answer(b"{}")]) as peer:
        ask_backend(peer.url)
    assert b"Accept-Encoding: identity" in peer.requests[0]


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_webhook_endpoint_holds_no_delivery(kind: str) -> None:
    allowed = (ip_network("127.0.0.1/32"),)
    # An endpoint that has sent a whole header has said its status; its body is only drained.
    with hostile_peer(SLOW[kind], pause=0.05) as peer, contextlib.suppress(OutboundFailed):
        assert Outbound(allowed, deadline_seconds=SECONDS).post(peer.url, b"{}", {}).status == 200
    assert peer.requests[0].startswith(b"POST / ")


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_nonsensical_webhook_endpoint_is_an_outcome(kind: str) -> None:
    allowed = (ip_network("127.0.0.1/32"),)
    with hostile_peer(NONSENSE[kind]) as peer, contextlib.suppress(OutboundFailed):
        assert Outbound(allowed).post(peer.url, b"{}", {}).status == 200
    assert peer.requests[0].startswith(b"POST / ")
