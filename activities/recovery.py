"""Calendar users whose workflow nobody started, as when Temporal was down while they connected, get it here."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import structlog
from sqlalchemy import text
from temporalio.client import Client

from meetbot.calendar_user_start import start_calendar_user
from meetbot.storage.database import Database

_EVERY_SECONDS = 30.0
_BATCH = 500
_log = structlog.get_logger(__name__)

_SILENT = text(
    """
    select tenant_id, id, provider from calendar_user
     where state in ('connecting', 'active')
       and coalesce(last_synced_at, created_at) < now() - make_interval(secs => :silence)
     order by coalesce(last_synced_at, created_at)
     limit :batch
    """
)


async def run_recovery(database: Database, client: Client, stop: asyncio.Event, *, interval: timedelta) -> None:
    """Until `stop`: start the workflow of each calendar user that has been silent for two intervals. One that runs is left."""
    while not stop.is_set():
        try:
            await recover_once(database, client, interval=interval)
        except Exception as error:
            # The next round tries again; the text may quote a row.
            _log.error("recovery failed", code=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=_EVERY_SECONDS)


async def recover_once(database: Database, client: Client, *, interval: timedelta) -> int:
    """How many silent calendar users were looked after."""
    silent = await asyncio.to_thread(_silent_users, database, max(interval * 2, timedelta(seconds=10)))
    for tenant_id, calendar_user_id, provider in silent:
        await start_calendar_user(client, tenant_id, calendar_user_id, provider, interval=interval)
    return len(silent)


def _silent_users(database: Database, silence: timedelta) -> list[tuple[str, str, str]]:
    with database.relay() as session:
        rows = session.execute(_SILENT, {"silence": silence.total_seconds(), "batch": _BATCH})
        return [(row[0], row[1], row[2]) for row in rows]
