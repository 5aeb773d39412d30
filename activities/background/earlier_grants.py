"""Ending the grants that were given to an earlier client, once a minute in each worker.

Several workers may ask for the same one: the provider then says that it has ended already, and only the first tells so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from meetbot.calendars.revocation import Revoker
from meetbot.clock import utc_now
from meetbot.domain.audit import AuditFact, DetailValue
from meetbot.domain.erasure import Revocation
from meetbot.errors import ProviderError, VaultError
from meetbot.storage.audit_log import append
from meetbot.storage.database import Database
from meetbot.storage.earlier_grants import WaitingGrant, forget_earlier_token, waiting_grants
from meetbot.storage.tables import PendingRevocation
from meetbot.temporal.messages import REVOCATION_DAYS

_EVERY_SECONDS = 60.0
_AT_ONCE = 20
_log = structlog.get_logger(__name__)


async def run_earlier_grants(database: Database, revoker: Revoker, stop: asyncio.Event) -> None:
    """End what waits, once a minute until `stop` is set."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(end_waiting, database, revoker, utc_now, stop.is_set)
        except Exception as error:
            # The next round tries again; the text may quote a row.
            _log.error("earlier_grants.failed", code=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=_EVERY_SECONDS)


def end_waiting(
    database: Database,
    revoker: Revoker,
    clock: Callable[[], datetime],
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """End up to twenty grants; return how many are settled."""
    with database.relay() as session:
        waiting = waiting_grants(session, most=_AT_ONCE)
    return sum(_end(database, revoker, grant, clock) for grant in waiting if not stopped())


def _end(database: Database, revoker: Revoker, grant: WaitingGrant, clock: Callable[[], datetime]) -> bool:
    with database.transaction(grant.tenant_id) as session:
        pending = session.get(PendingRevocation, (grant.tenant_id, grant.id))
    if pending is None:
        return False
    revocation = _revoked(revoker, pending, clock())
    if revocation is None:
        return False
    with database.transaction(grant.tenant_id) as session:
        if forget_earlier_token(session, grant) is None:
            return False
        append(session, grant.tenant_id, _fact(pending, revocation, clock()))
    return True


def _revoked(revoker: Revoker, pending: PendingRevocation, now: datetime) -> Revocation | None:
    """Return how it ended, None if it is to be tried again."""
    try:
        return revoker.revoke(pending)
    except (ProviderError, VaultError) as error:
        _log.warning("earlier_grants.revocation_failed", provider=pending.provider, code=error.code)
    is_over = pending.created_at is not None and now - pending.created_at > timedelta(days=REVOCATION_DAYS)
    return Revocation.GIVEN_UP if is_over else None


def _fact(pending: PendingRevocation, revocation: Revocation, now: datetime) -> AuditFact:
    detail: dict[str, DetailValue] = {
        "provider": pending.provider,
        "client_id": pending.oauth_client_id,
        "revocation": str(revocation),
    }
    return AuditFact(now, "service", "calendar_user.earlier_grant_ended", pending.calendar_user_id, detail=detail)
