"""Restart workflows that should run and do not.

Such a workflow was never started because Temporal was down, or an operator or a failure ended it. Temporal lists the workflows
that ended without finishing; the database tells which of them still have work to do. If Temporal lost a workflow altogether,
only the database can tell. Starting a workflow that runs changes nothing, so every worker may do this at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Row, TextClause, text
from temporalio.client import Client

from meetbot.calendars.lost_access import TOLD_AGAIN_AFTER
from meetbot.clock import utc_now
from meetbot.storage.database import Database
from meetbot.storage.erasures import RunningErasure, running_erasures
from meetbot.temporal.messages import WorkflowName
from meetbot.temporal.start import start_bot, start_calendar_user, start_erasure

_EVERY_SECONDS = 30.0
_BATCH = 500
_SAMPLE = 100
# Twenty rounds, so that a worker's own standstill or Temporal's late listing leaves none out.
_LOOKING_BACK = timedelta(minutes=10)
_LISTING_TIMEOUT = timedelta(seconds=10)
_log = structlog.get_logger(__name__)

_SILENT_CALENDAR_USERS = text(
    """
    select tenant_id, id, provider from calendar_user
     where state in ('connecting', 'active')
       and coalesce(last_synced_at, created_at) < now() - make_interval(secs => :silence)
     order by coalesce(last_synced_at, created_at)
     limit :batch
    """
)

# Whose loss of access should have been told again by now: the workflow that would have is not there.
_UNTOLD_CALENDAR_USERS = text(
    """
    select tenant_id, id, provider from calendar_user
     where state = 'needs_reconnect'
       and reconnect_notices < 1 + (select count(*) from unnest(cast(:after as interval[])) after
                                     where state_changed_at + after < now() - make_interval(secs => :silence))
     order by state_changed_at
     limit :batch
    """
)

_CALENDAR_USERS_AMONG = text(
    """
    select tenant_id, id, provider from calendar_user
     where state in ('connecting', 'active', 'needs_reconnect')
       and (tenant_id, id) in (select * from unnest(cast(:tenants as text[]), cast(:ids as text[])))
    """
)

_BOTS_AMONG = text(
    """
    select tenant_id, meeting_key, state from bot
     where state in ('scheduled', 'dispatching', 'dispatched', 'joining', 'in_call', 'recording', 'finalizing')
       and (tenant_id, meeting_key) in (select * from unnest(cast(:tenants as text[]), cast(:ids as text[])))
    """
)

# Bots to be dispatched soon or overdue. In random order, so that none is left out for long if there are more than one batch.
# Those that a process holds go without their workflow too, and starting it would take time from them just then.
_DUE_BOTS = text(
    """
    select tenant_id, meeting_key, state from bot
     where state in ('scheduled', 'dispatching') and dispatch_at < now() + interval '1 minute'
       and (dispatch_at < now() - interval '1 minute'
            or not exists (select 1 from launch_hold held where held.tenant_id = bot.tenant_id and held.bot_id = bot.id))
     order by random()
     limit :batch
    """
)

# Bots in a meeting: each needs its workflow, which recalls the bot if the meeting is cancelled. A sample is enough, since
# there are many such bots, and a workflow is missing only if Temporal lost it altogether.
_SENT_BOTS = text(
    """
    select tenant_id, meeting_key, state from bot
     where state in ('dispatched', 'joining', 'in_call', 'recording', 'finalizing')
     order by random()
     limit :batch
    """
)


async def run_recovery(database: Database, client: Client, stop: asyncio.Event, *, interval: timedelta) -> None:
    """Restart workflows every thirty seconds until `stop` is set.

    Looked for are workflows that were ended, calendar users without a sync for two intervals, bots that are due, and erasures
    that are not finished.
    """
    while not stop.is_set():
        await _attempted(recover_ended(database, client, interval=interval))
        await _attempted(recover_calendar_users(database, client, interval=interval))
        await _attempted(recover_bots(database, client))
        await _attempted(recover_erasures(database, client))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=_EVERY_SECONDS)


async def _attempted(recovery: Coroutine[Any, Any, int]) -> None:
    try:
        await recovery
    except Exception as error:
        # The next round tries again; the text may quote a row.
        _log.error("recovery.failed", code=type(error).__name__)


async def recover_ended(database: Database, client: Client, *, interval: timedelta) -> int:
    """Restart the wanted workflows that ended in the last ten minutes without finishing.

    Return how many were restarted, those included that ran again already.
    """
    users = await _still_wanted(database, client, WorkflowName.CALENDAR_USER, _CALENDAR_USERS_AMONG)
    bots = await _still_wanted(database, client, WorkflowName.BOT, _BOTS_AMONG)
    for user in users:
        await start_calendar_user(client, user.tenant_id, user.id, user.provider, interval=interval)
    for bot in bots:
        await start_bot(client, bot.tenant_id, bot.meeting_key, bot.state)
    return len(users) + len(bots)


async def _still_wanted(
    database: Database, client: Client, name: WorkflowName, among: TextClause
) -> Sequence[Row[Any]]:
    ended = (
        f"WorkflowType = '{name}' and ExecutionStatus in ('Terminated', 'Canceled', 'TimedOut', 'Failed')"
        f" and CloseTime > '{(utc_now() - _LOOKING_BACK).isoformat()}'"
    )
    listing = client.list_workflows(ended, limit=_BATCH, rpc_timeout=_LISTING_TIMEOUT)
    split = [execution.id.split("/", 2) async for execution in listing]
    named = {(parts[1], parts[2]) for parts in split if len(parts) == 3}
    if not named:
        return []
    tenants, ids = zip(*sorted(named), strict=True)
    return await asyncio.to_thread(_rows, database, among, {"tenants": list(tenants), "ids": list(ids)})


async def recover_calendar_users(database: Database, client: Client, *, interval: timedelta) -> int:
    """Start the workflows of calendar users that do nothing; return how many there were.

    They have not synced of late, or have not told again that access is lost.
    """
    silence = max(interval * 2, timedelta(seconds=10)).total_seconds()
    silent = await asyncio.to_thread(_rows, database, _SILENT_CALENDAR_USERS, {"silence": silence})
    bounds = {"silence": silence, "after": list(TOLD_AGAIN_AFTER)}
    untold = await asyncio.to_thread(_rows, database, _UNTOLD_CALENDAR_USERS, bounds)
    for row in (*silent, *untold):
        await start_calendar_user(client, row.tenant_id, row.id, row.provider, interval=interval)
    return len(silent) + len(untold)


async def recover_bots(database: Database, client: Client) -> int:
    """Start the workflows of bots that are due or in a meeting; return how many there were.

    Nearly all of them run already, and starting them again changes nothing.
    """
    due = await asyncio.to_thread(_rows, database, _DUE_BOTS, {})
    sent = await asyncio.to_thread(_rows, database, _SENT_BOTS, {"batch": _SAMPLE})
    for row in (*due, *sent):
        await start_bot(client, row.tenant_id, row.meeting_key, row.state)
    return len(due) + len(sent)


async def recover_erasures(database: Database, client: Client) -> int:
    """Start the workflows of erasures that are not finished; return how many there were."""
    running = await asyncio.to_thread(_running_erasures, database)
    for erasure in running:
        await start_erasure(client, erasure.tenant_id, erasure.id, erasure.calendar_user_id)
    return len(running)


def _running_erasures(database: Database) -> list[RunningErasure]:
    with database.relay() as session:
        return running_erasures(session, most=_BATCH)


def _rows(database: Database, query: TextClause, bounds: Mapping[str, Any]) -> Sequence[Row[Any]]:
    with database.relay() as session:
        return session.execute(query, {"batch": _BATCH, **bounds}).all()
