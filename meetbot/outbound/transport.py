"""The transport to configured hosts: warm connections, bounded steps and unpacking."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore
import httpx

from meetbot.outbound.connections import Dialler
from meetbot.outbound.trust import trusted_authorities
from meetbot.outbound.unpacking import gunzip, is_packed

_FRAMING = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
_USER_AGENT = "meetbot-calendar"


def build_http_client(*, connections: int, accept_gzip: bool) -> httpx.Client:
    """Build one client for a process; safe to use from many threads. Send with `exchange`.

    It follows no redirects, reads no proxy variables and keeps no cookies: one set during one user's request must not be
    sent with another user's.
    """
    return httpx.Client(
        transport=BoundedTransport(connections=connections),
        trust_env=False,
        follow_redirects=False,
        headers=usual_headers(accept_gzip=accept_gzip),
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    )


def usual_headers(*, accept_gzip: bool) -> dict[str, str]:
    """Return the headers of every request, whichever client sends it."""
    return {
        "User-Agent": f"{_USER_AGENT} (gzip)" if accept_gzip else _USER_AGENT,
        "Accept-Encoding": "gzip" if accept_gzip else "identity",
    }


class BoundedTransport(httpx.BaseTransport):
    """HTTP/1.1 over kept connections.

    h11 bounds the header block (100 KB); `connections` bounds each wait. Raises httpcore's errors, httpx's for an
    encoding that was not asked for, and `OutboundFailed`.
    """

    def __init__(self, *, connections: int, trust: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust or trusted_authorities(),
            max_connections=connections,
            max_keepalive_connections=connections // 2,
            keepalive_expiry=30.0,
            network_backend=Dialler(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer, its body still unread."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("a blocking client sends blocking bodies")
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        sent = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        answer = self._pool.handle_request(sent)
        try:
            return _unpacked(answer, request.headers.get("accept-encoding", ""))
        except BaseException:
            answer.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def _unpacked(answer: httpcore.Response, accepted: str) -> httpx.Response:
    encodings = [
        value.decode("latin-1").strip().lower() for name, value in answer.headers if name.lower() == b"content-encoding"
    ]
    if not isinstance(answer.stream, Iterable):
        raise TypeError("a blocking pool answers with blocking bodies")
    if not is_packed(encodings, accepts_gzip="gzip" in accepted):
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer, answer.stream))
    headers = [(name, value) for name, value in answer.headers if name.lower() not in _FRAMING]
    return httpx.Response(answer.status, headers=headers, stream=_Body(answer, gunzip(answer.stream)))


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response, pieces: Iterable[bytes]) -> None:
        self._answer = answer
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        self._answer.close()
