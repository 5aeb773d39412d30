"""The nightly run that deletes what tenants no longer want kept.

Each worker looks once an hour. A run is claimed in the database, so that each tenant has one a day (of UTC); one that died is
done by another worker an hour later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog

from meetbot.clock import utc_now
from meetbot.storage.database import Database
from meetbot.storage.retention import begin_run, delete_old, finish_run
from meetbot.storage.tenants import find_tenant, list_tenant_ids

_EVERY_SECONDS = 3600.0
_PAGE = 500
_log = structlog.get_logger(__name__)


async def run_retention(database: Database, stop: asyncio.Event) -> None:
    """Do the runs that are due, once an hour until `stop` is set."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(run_due, database, utc_now, stop.is_set)
        except Exception as error:
            # The next hour tries again; the text may quote a row.
            _log.error("retention.failed", code=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=_EVERY_SECONDS)


def run_due(database: Database, clock: Callable[[], datetime], stopped: Callable[[], bool] = lambda: False) -> int:
    """Do this night's run of every tenant that has not had it; return how many were done."""
    after, done = "", 0
    while not stopped():
        with database.relay() as session:
            page = list_tenant_ids(session, after=after, limit=_PAGE)
        if not page:
            break
        after = page[-1]
        for tenant_id in page:
            if stopped():
                break
            done += _run(database, tenant_id, clock)
    return done


def _run(database: Database, tenant_id: str, clock: Callable[[], datetime]) -> bool:
    """Do one tenant's run. What fails here keeps no other tenant waiting."""
    now = clock()
    try:
        with database.transaction(tenant_id) as session:
            tenant = find_tenant(session, tenant_id)
            if tenant is None or not begin_run(session, tenant_id, now=now):
                return False
        deleted = delete_old(database, tenant, now=now)
        with database.transaction(tenant_id) as session:
            finish_run(session, tenant_id, day=now.date(), now=clock(), deleted=deleted)
    except Exception as error:
        _log.error("retention.run_failed", tenant_id=tenant_id, code=type(error).__name__)
        return False
    _log.info("retention.run_done", tenant_id=tenant_id, **deleted)
    return True
