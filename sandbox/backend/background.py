"""The background task: jobs move on with the clock, and their reports are sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import httpx

from sandbox.backend.api import advance_jobs
from sandbox.backend.webhooks import deliver_due
from sandbox.running import Sandbox

_TICK_SECONDS = 0.2
_log = logging.getLogger("sandbox")


async def run_background(sandbox: Sandbox, client: httpx.AsyncClient) -> None:
    """Run rounds until cancelled: five a second, or at once when a report may be due."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sandbox.reports_due.wait(), _TICK_SECONDS)
        sandbox.reports_due.clear()
        try:
            await run_background_round(sandbox, client)
        except Exception:  # for example a full disk: the next round tries again
            _log.exception("sandbox.background_round_failed")


async def run_background_round(sandbox: Sandbox, client: httpx.AsyncClient) -> None:
    """Run one round. Rounds never overlap, so no report is sent twice."""
    async with sandbox.delivery_lock:
        moved = advance_jobs(sandbox, sandbox.now())
        sent = await deliver_due(sandbox, client)
    if moved or sent:
        sandbox.save()
