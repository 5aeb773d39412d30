"""Requests are bounded in time and size, and keep nothing of one user for another."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx
import pytest

from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from meetbot.providers.http import AnswerTooLarge, Deadline, build_http_client, json_object, send
from tests.unit.providers.scripted import Script, client, reply

URL = "https://provider.example/things?title=secret-title"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def get(handler: Script, limit: int = 1000, deadline: Deadline | None = None) -> bytes:
    answer = send(
        client(handler),
        "GET",
        URL,
        provider=Provider.GOOGLE,
        deadline=deadline or Deadline(10),
        headers={"Authorization": "Bearer secret-token"},
        limit=limit,
    )
    return answer.body


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (httpx.ReadTimeout("secret"), "provider_timeout"),
        (httpx.ConnectTimeout("secret"), "provider_timeout"),
        (httpx.PoolTimeout("secret"), "provider_timeout"),
        (httpx.ConnectError("secret"), "provider_unreachable"),
        (httpx.RemoteProtocolError("secret"), "provider_unreachable"),
        (httpx.ReadError("secret"), "provider_unreachable"),
    ],
)
def test_a_broken_connection_is_a_reason_to_try_later(failure: Exception, code: str) -> None:
    with pytest.raises(RetryLater) as caught:
        get(Script({"/things": failure}))
    assert caught.value.code == code


def test_a_failure_holds_neither_the_token_nor_the_request() -> None:
    with pytest.raises(RetryLater) as caught:
        get(Script({"/things": httpx.ConnectError("secret")}))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_answer_over_the_limit_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for number in range(1000):
                sent.append(number)
                yield b"x" * 100

    with pytest.raises(AnswerTooLarge):
        get(Script({"/things": lambda request: httpx.Response(200, stream=Body())}))
    assert len(sent) == 11


def test_the_limit_counts_what_a_compressed_answer_unpacks_to() -> None:
    bomb = gzip.compress(b"0" * 100_000)
    assert len(bomb) < 1000
    with pytest.raises(AnswerTooLarge):
        get(Script({"/things": lambda request: _gzipped(bomb)}))


def test_an_answer_with_broken_compression_is_a_reason_to_try_later() -> None:
    with pytest.raises(RetryLater) as caught:
        get(Script({"/things": lambda request: _gzipped(b"no gzip")}))
    assert caught.value.code == "provider_unreachable"


def _gzipped(body: bytes) -> httpx.Response:
    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield body

    return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Body())


def test_an_answer_that_comes_too_slowly_ends_with_the_deadline() -> None:
    clock = Clock()
    sent: list[int] = []

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for number in range(100):
                sent.append(number)
                clock.now += 1
                yield b"x"

    with pytest.raises(RetryLater) as caught:
        get(Script({"/things": lambda request: httpx.Response(200, stream=Body())}), deadline=Deadline(5, clock))
    assert caught.value.code == "provider_timeout"
    assert len(sent) == 5


def test_each_phase_gets_what_the_deadline_leaves() -> None:
    clock = Clock()
    script = Script({"/things": reply({})})
    get(script, deadline=Deadline(20, clock))
    timeouts = script.requests[0].extensions["timeout"]
    assert (timeouts.get("connect"), timeouts.get("read")) == (3.0, 15.0)
    clock.now += 18
    assert (timeouts.get("connect"), timeouts.get("read")) == (2.0, 2.0)
    clock.now += 18
    assert 0 < timeouts.get("read") < 0.01


def test_redirects_are_not_followed() -> None:
    script = Script({"/things": reply({}, 302, {"Location": "https://elsewhere.example/"})})
    get(script)
    assert len(script.requests) == 1


def test_a_token_that_fits_no_header_is_an_error_of_ours_not_a_crash() -> None:
    with pytest.raises(RetryLater):
        send(
            client(Script({})),
            "GET",
            URL,
            provider=Provider.GOOGLE,
            deadline=Deadline(10),
            headers={"Authorization": "Bearer \u2028"},
        )


def test_the_shared_client_keeps_no_cookies() -> None:
    seen: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "session=anns; Path=/"})

    with build_http_client() as shared:
        shared._transport = httpx.MockTransport(handler)
        shared.get("https://login.example/")
        shared.get("https://login.example/")
    assert seen == [None, None]


def test_the_shared_client_follows_nothing_and_reads_no_environment() -> None:
    with build_http_client() as shared:
        assert not shared.follow_redirects
        assert not shared.trust_env


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    answer = send(client(Script({"/things": reply(body)})), "GET", URL, provider=Provider.GOOGLE, deadline=Deadline(10))
    with pytest.raises(RetryLater) as caught:
        json_object(answer, Provider.GOOGLE)
    assert caught.value.code == "malformed_answer"
