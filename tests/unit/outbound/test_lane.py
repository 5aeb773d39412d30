"""The asynchronous way out opens connections early, and not more than it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from meetbot.outbound.deadline import Deadline
from meetbot.outbound.exchange import Answer
from meetbot.outbound.failures import OutboundFailed
from meetbot.outbound.lane import Lane
from tests.unit.outbound.ways_out import post


@dataclass
class Peer:
    """A server that counts connections, and answers no request before it may."""

    url: str = ""
    connections: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                await self.may_answer.wait()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def running_peer() -> AsyncIterator[Peer]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        yield peer


def run(scenario: Callable[[Lane, Peer], Awaitable[None]], *, connections: int = 5) -> None:
    async def whole() -> None:
        lane = Lane(connections=connections, accept_gzip=False)
        async with running_peer() as peer:
            try:
                await scenario(lane, peer)
            finally:
                await lane.close()

    asyncio.run(whole())


async def ask(lane: Lane, peer: Peer) -> Answer:
    return await lane.exchange(post(peer.url), deadline=Deadline(10), limit=1000)


def test_requests_go_over_the_connections_that_were_opened_for_them() -> None:
    async def scenario(lane: Lane, peer: Peer) -> None:
        assert await lane.warm(peer.url, 3) == 3
        assert peer.connections == 3
        peer.may_answer.set()
        await asyncio.gather(*(ask(lane, peer) for _ in range(3)))
        assert peer.connections == 3

    run(scenario)


def test_what_is_open_already_is_not_opened_again() -> None:
    async def scenario(lane: Lane, peer: Peer) -> None:
        await lane.warm(peer.url, 2)
        assert await lane.warm(peer.url, 4) == 4
        assert peer.connections == 4

    run(scenario)


def test_there_are_never_more_connections_than_allowed() -> None:
    async def scenario(lane: Lane, peer: Peer) -> None:
        assert await lane.warm(peer.url, 1000) == 5
        asked = [asyncio.create_task(ask(lane, peer)) for _ in range(20)]
        peer.may_answer.set()
        assert {answer.status for answer in await asyncio.gather(*asked)} == {204}
        assert peer.connections == 5

    run(scenario)


def test_a_request_that_waited_for_a_connection_in_vain_was_not_sent() -> None:
    async def scenario(lane: Lane, peer: Peer) -> None:
        holder = asyncio.create_task(ask(lane, peer))
        while not peer.connections:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.001)
        with pytest.raises(OutboundFailed) as caught:
            await lane.exchange(post(peer.url), deadline=Deadline(0.1), limit=1000)
        assert (caught.value.code, caught.value.unsent) == ("timeout", True)
        peer.may_answer.set()
        await holder

    run(scenario, connections=1)


def test_nothing_can_be_opened_where_nobody_listens() -> None:
    async def scenario(lane: Lane, _: Peer) -> None:
        assert await lane.warm("http://127.0.0.1:1/", 3) == 0

    run(scenario)


def test_a_closed_lane_opens_again() -> None:
    async def scenario(lane: Lane, peer: Peer) -> None:
        peer.may_answer.set()
        await ask(lane, peer)
        await lane.close()
        assert (await ask(lane, peer)).status == 204
        assert peer.connections == 2

    run(scenario)
