"""The asynchronous way out: many requests at once on one event loop.

It obeys the rules of the blocking one, and is for what must go out at an instant. A request costs a tenth of what it costs in
a thread of its own, and connections are opened before they are needed (decision 0034).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from types import SimpleNamespace

import aiohttp
import httpx
from yarl import URL

from meetbot.outbound.async_dialling import GuardedResolver, judged_sockets
from meetbot.outbound.connections import Guard, Resolver, allow_all, resolve
from meetbot.outbound.deadline import Deadline, PhaseSeconds
from meetbot.outbound.exchange import Answer, Call
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.transport import usual_headers
from meetbot.outbound.trust import trusted_authorities
from meetbot.outbound.unpacking import gunzip, is_packed

_PHASES = PhaseSeconds()
# Shorter than what common servers keep an idle connection for, so that hardly any request meets a closed one.
_IDLE_SECONDS = 4.0
# As h11 bounds the blocking client's whole header block.
_MOST_HEADERS = 100
_LONGEST_HEADER = 8190
_OPENING_SECONDS = 1.0
# Everything that aiohttp and what it stands on raise for a bad peer, address or header.
_TRANSPORT_ERRORS: tuple[type[Exception], ...] = (aiohttp.ClientError, httpx.DecodingError, OSError, ValueError)


class Lane:
    """Sends requests from one event loop at a time, to hosts that the operator has configured.

    It follows no redirects, reads no proxy variables and keeps no cookies. ``connections`` bounds how many it has open.
    """

    def __init__(
        self,
        *,
        connections: int,
        accept_gzip: bool,
        trust: ssl.SSLContext | None = None,
        guard: Guard = allow_all,
        resolver: Resolver = resolve,
    ) -> None:
        self._connections = connections
        self._accepts_gzip = accept_gzip
        # Now, since reading them takes as long as many requests.
        self._trust = trust or trusted_authorities()
        self._guard, self._resolver = guard, resolver
        self._opened: aiohttp.ClientSession | None = None

    async def exchange(self, call: Call, *, deadline: Deadline, limit: int) -> Answer:
        """Send one request and return the whole answer, whatever its status. Redirects are answers.

        Raises `OutboundFailed` if there is none before the deadline, or if it is longer than ``limit`` bytes, unpacked.
        """
        progress = SimpleNamespace(connected=False)
        try:
            async with asyncio.timeout(deadline.remaining()):
                return await self._exchange(call, progress, limit)
        except OutboundFailed as error:
            failure = OutboundFailed(error.code, error.detail, unsent=error.unsent)
        except _TRANSPORT_ERRORS as error:
            failure = _failure_of(error, unsent=not progress.connected)
        # Raised outside the handlers: the original error, which would be its context, holds the request and its token.
        raise failure

    async def warm(self, url: str, connections: int) -> int:
        """Open connections to the host of the address; return how many are open then.

        They are for requests within the next four seconds. It takes a second at most, and no failure is an error.
        """
        session = self._session()
        count = min(connections, self._connections)
        opening = [asyncio.create_task(_open(session, url)) for _ in range(count)]
        if not opening:
            return 0
        done, slow = await asyncio.wait(opening, timeout=_OPENING_SECONDS)
        for task in slow:
            task.cancel()
        opened = [task.result() for task in done if task.exception() is None]
        # Not before all are open: one that is let go of is taken again by the next.
        for connection in opened:
            connection.release()
        return len(opened)

    async def close(self) -> None:
        """Close all connections. The lane may be used again, from another event loop too."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def _exchange(self, call: Call, progress: SimpleNamespace, limit: int) -> Answer:
        asked = self._session().request(
            call.method,
            URL(call.url, encoded=True),
            data=call.content,
            headers=call.headers,
            allow_redirects=False,
            trace_request_ctx=progress,
        )
        async with asked as answer:
            encodings = [value.strip().lower() for value in answer.headers.getall("Content-Encoding", ())]
            packed = is_packed(encodings, accepts_gzip=self._accepts_gzip)
            body = await _read(answer, limit)
        return Answer(answer.status, answer.headers, _whole(gunzip((body,)), limit) if packed else body)

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = self._open_session()
        return self._opened

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._connections,
            keepalive_timeout=_IDLE_SECONDS,
            ssl=self._trust,
            resolver=GuardedResolver(self._resolver, self._guard),
            happy_eyeballs_delay=None,
            socket_factory=judged_sockets(self._guard),
        )
        return aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=usual_headers(accept_gzip=self._accepts_gzip),
            # The deadline of each exchange bounds the whole.
            timeout=_TIMEOUTS,
            auto_decompress=False,
            max_headers=_MOST_HEADERS,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            trace_configs=[_progress_notes()],
        )


_TIMEOUTS = aiohttp.ClientTimeout(
    total=None, connect=_PHASES.pool, sock_connect=_PHASES.connect, sock_read=_PHASES.read
)


async def _open(session: aiohttp.ClientSession, url: str) -> aiohttp.connector.Connection:
    connector = session.connector
    if connector is None:
        raise aiohttp.ClientConnectionError("closed")
    request = aiohttp.ClientRequest(
        "GET", URL(url, encoded=True), loop=asyncio.get_running_loop(), session=session, ssl=True
    )
    return await connector.connect(request, [], _TIMEOUTS)


def _progress_notes() -> aiohttp.TraceConfig:
    """Note for each request that it has a connection: until then, nothing of it was sent."""

    async def note(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(note)
    config.on_connection_reuseconn.append(note)
    return config


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > limit:
            # Otherwise the connection would be read on, for the next request.
            answer.close()
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _whole(pieces: Iterable[bytes], limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        chunks.append(piece)
    return b"".join(chunks)


def _too_large(limit: int) -> OutboundFailed:
    return OutboundFailed("answer_too_large", f"more than {limit} bytes")


def _failure_of(error: Exception, *, unsent: bool) -> OutboundFailed:
    """Our error for one of `_TRANSPORT_ERRORS`, without a word of it."""
    name = type(error).__name__
    if isinstance(error, TimeoutError):
        return OutboundFailed("timeout", f"the exchange took too long ({name})", unsent=unsent)
    if isinstance(error, aiohttp.ClientSSLError):
        return OutboundFailed("tls_failed", "no trusted TLS connection to this host name", unsent=True)
    if isinstance(error, OSError):
        return OutboundFailed("connection_failed", f"the connection failed ({name})", unsent=unsent)
    return OutboundFailed("protocol_error", f"the answer is not HTTP ({name})", unsent=unsent)
