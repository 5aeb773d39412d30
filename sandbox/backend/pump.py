"""What goes on in the background: jobs move on with the clock, and their reports are sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import httpx

from sandbox.backend.api import advance_jobs
from sandbox.backend.deliveries import deliver_due
from sandbox.world import World

_TICK_SECONDS = 0.2
_log = logging.getLogger("sandbox")


async def pump(world: World, client: httpx.AsyncClient) -> None:
    """Runs until cancelled."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(world.wake.wait(), _TICK_SECONDS)
        world.wake.clear()
        try:
            await pump_once(world, client)
        except Exception:  # a full disk, say: told, and tried again with the next round
            _log.exception("sandbox.round_failed")


async def pump_once(world: World, client: httpx.AsyncClient) -> None:
    """One round. Rounds never overlap, so that no report is sent twice."""
    async with world.delivering:
        moved = advance_jobs(world, world.now())
        sent = await deliver_due(world, client)
    if moved or sent:
        world.save()
