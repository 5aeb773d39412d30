"""What follows when a provider says that a grant has ended: noted, told, and told again.

The tenant is told at once, and again after one, three and seven days while nobody has given access again. What is due is told
by whatever sync finds it due: the count is on the calendar user's row, so that neither a restart nor a second process tells
anything twice, and a process that stood still for days tells it once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlmodel import Session

from meetbot.calendars.announcements import announce_lost_access
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.connection_health import TESTING_CODE
from meetbot.domain.sync_run import SyncStart, ended
from meetbot.domain.testing_mode import LONGEST_LIFE, ended_as_in_testing
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.database import Database
from meetbot.storage.lost_access import begin_reconnect_notice, has_grant_older_than, mark_needs_reconnect
from meetbot.storage.push_channels import end_all_channels
from meetbot.storage.sync_runs import add_run

TOLD_AGAIN_AFTER: Final = (timedelta(days=1), timedelta(days=3), timedelta(days=7))
_ENDED: Final = "invalid_grant"
_log = structlog.get_logger(__name__)


def lose_access(
    database: Database, user: CalendarUserContext, code: str, *, public_url: str, start: SyncStart, now: datetime
) -> CalendarUserContext:
    """Note that the provider itself says that the grant is gone, and tell the tenant.

    Access counts as lost since the sync began that found it. Returns the user as it is from now on: unchanged if they have
    reconnected meanwhile.
    """
    since = start.began_at
    with database.transaction(user.tenant_id) as session:
        told = _exact_code(session, user, code, since)
        lost = mark_needs_reconnect(
            session, user.tenant_id, user.id, token_version=user.token_version, code=told, now=since
        )
        if lost:
            # They may be dead with the grant: after a reconnect new ones are opened.
            end_all_channels(session, user.tenant_id, user.id)
            announce_lost_access(session, user, public_url=public_url, now=since)
            add_run(session, user.tenant_id, user.id, ended(start, now, code=told))
    if not lost:
        return user
    _log.warning("calendar_user.access_lost", tenant_id=user.tenant_id, calendar_user_id=user.id, code=told)
    return user.without_access(told, since=since)


def tell_again(
    database: Database, user: CalendarUserContext, *, public_url: str, start: SyncStart, now: datetime
) -> None:
    """Tell the tenant once more that access is lost, if that is due by when the sync began.

    Costs no statement while it is not.
    """
    if user.state is not CalendarUserStatus.NEEDS_RECONNECT:
        return
    at = start.began_at
    notice = notices_due(at - user.state_changed_at)
    if notice <= user.reconnect_notices:
        return
    with database.transaction(user.tenant_id) as session:
        since = user.state_changed_at
        if begin_reconnect_notice(session, user.tenant_id, user.id, since=since, notice=notice, now=at):
            announce_lost_access(session, user, public_url=public_url, now=at)
            if user.error_code is not None:
                add_run(session, user.tenant_id, user.id, ended(start, now, code=user.error_code))


def notices_due(lost_for: timedelta) -> int:
    """Return how many notices a loss of this length calls for, the first one included."""
    return 1 + sum(1 for after in TOLD_AGAIN_AFTER if lost_for >= after)


def _exact_code(session: Session, user: CalendarUserContext, code: str, now: datetime) -> str:
    """Return the code, or the one of a client in testing if all tells of it.

    A client to which an older grant still stands is not in testing.
    """
    ended = code == _ENDED and ended_as_in_testing(user.provider, consented_at=user.consented_at, ended_at=now)
    if not ended or has_grant_older_than(
        session, user.tenant_id, user.provider, user.oauth_client_id, before=now - LONGEST_LIFE
    ):
        return code
    return TESTING_CODE
