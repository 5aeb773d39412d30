"""Both ways out, as one call each, for tests that hold for both."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import httpx

from meetbot.outbound.connections import Dialler, Guard, Resolver, allow_all, resolve
from meetbot.outbound.deadline import Deadline
from meetbot.outbound.exchange import Answer, Call, exchange
from meetbot.outbound.lane import Lane
from meetbot.outbound.transport import BoundedTransport, build_http_client
from meetbot.outbound.trust import trusted_authorities


@dataclass(frozen=True, slots=True)
class Terms:
    """How a call is to be made."""

    seconds: float = 5.0
    limit: int = 1 << 20
    accept_gzip: bool = False
    trust: ssl.SSLContext = field(default_factory=cache(trusted_authorities))
    guard: Guard = allow_all
    resolver: Resolver = resolve


WayOut = Callable[[list[Call], Terms], list[Answer]]
"""Makes calls one after the other, over one client."""


def in_threads(calls: list[Call], terms: Terms) -> list[Answer]:
    """The blocking client."""
    with build_http_client(connections=2, accept_gzip=terms.accept_gzip) as http:
        transport = BoundedTransport(connections=2, trust=terms.trust)
        transport._pool._network_backend = Dialler(guard=terms.guard, resolver=terms.resolver)
        http._transport = transport
        return [_blocking(http, call, terms) for call in calls]


def _blocking(http: httpx.Client, call: Call, terms: Terms) -> Answer:
    request = http.build_request(call.method, call.url, content=call.content, headers=dict(call.headers))
    return exchange(http, request, deadline=Deadline(terms.seconds), limit=terms.limit)


def in_the_lane(calls: list[Call], terms: Terms) -> list[Answer]:
    """The asynchronous client."""

    async def all_of_them() -> list[Answer]:
        lane = Lane(
            connections=2,
            accept_gzip=terms.accept_gzip,
            trust=terms.trust,
            guard=terms.guard,
            resolver=terms.resolver,
        )
        try:
            return [await lane.exchange(call, deadline=Deadline(terms.seconds), limit=terms.limit) for call in calls]
        finally:
            await lane.close()

    return asyncio.run(all_of_them())


def get(url: str, headers: Mapping[str, str] | None = None) -> Call:
    return Call("GET", url, headers or {})


def post(url: str, body: bytes = b"{}") -> Call:
    return Call("POST", url, {"Content-Type": "application/json"}, body)
