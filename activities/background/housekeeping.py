"""Deleting what is past its time, once an hour in each worker.

Several workers may delete at once; that does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from meetbot.storage.database import Database
from meetbot.storage.housekeeping import delete_expired

_EVERY_SECONDS = 3600.0
_log = structlog.get_logger(__name__)


async def run_housekeeping(database: Database, stop: asyncio.Event) -> None:
    """Delete what is past its time, once an hour until `stop` is set."""
    while not stop.is_set():
        try:
            deleted = await asyncio.to_thread(delete_expired, database)
            _log.info("housekeeping.done", **deleted)
        except Exception as error:
            # The next hour tries again; the text may quote a row.
            _log.error("housekeeping.failed", code=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=_EVERY_SECONDS)
