"""How the asynchronous way out finds and judges addresses: as the blocking one does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from meetbot.outbound.connections import ADDRESSES_TRIED, DNS_SECONDS, Guard, Resolver


class GuardedResolver(AbstractResolver):
    """Resolves a name once and has all its addresses judged."""

    def __init__(self, resolver: Resolver, guard: Guard) -> None:
        self._resolver, self._guard = resolver, guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the first addresses of the host.

        Raises `OutboundFailed` or what the guard raises.
        """
        look_up = partial(self._resolver, host, port, DNS_SECONDS)
        addresses = await asyncio.get_running_loop().run_in_executor(None, look_up)
        self._guard(addresses)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses[:ADDRESSES_TRIED]
        ]

    async def close(self) -> None:
        """Close nothing: look-ups end by themselves."""


def judged_sockets(guard: Guard) -> Callable[[AddrInfoType], socket.socket]:
    """Return what makes sockets, only for addresses that may be dialled.

    A host that is written as an address is never resolved, so this is where it is judged.
    """

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        guard((ip_address(address[0]),))
        return socket.socket(family, kind, protocol)

    return make
