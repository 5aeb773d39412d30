"""What a sync leaves on the calendar user's own row, and what it tells the tenant about it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.calendars.connect_flow import reconnect_url
from meetbot.resources.calendar_user import calendar_user_document
from meetbot.storage import outbox
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.tables import CalendarUser
from meetbot.storage.watermarks import current_watermark

_SYNCED = text(
    """
    update calendar_user
       set last_synced_at = greatest(last_synced_at, :at), error_code = null, decided_policy = :policy,
           state_changed_at = case when state = 'active' then state_changed_at else :at end, state = 'active'
     where tenant_id = :tenant_id and id = :id and state in ('connecting', 'active')
    """
)

_DECIDED = text("update calendar_user set decided_policy = :policy where tenant_id = :tenant_id and id = :id")

_NOTE_ERROR = text(
    """
    update calendar_user set error_code = :code
     where tenant_id = :tenant_id and id = :id and error_code is distinct from :code
    """
)

_GIVE_UP = text(
    """
    update calendar_event
       set outcome = 'skip', reason = 'access_revoked', rule = null, rule_set_version = null, rule_layer = null,
           decided_at = :now, updated_at = :now,
           change_xid = (pg_current_xact_id()::text)::bigint
     where tenant_id = :tenant_id and calendar_user_id = :id and not deleted and outcome = 'record' and end_at > :now
    returning id
    """
)


def mark_synced(session: Session, user: CalendarUserContext, *, at: datetime) -> None:
    """The calendar was read completely; `at` is when the reading began, so that no later change counts as seen."""
    session.execute(_SYNCED, {**_key(user), "at": at, "policy": user.policy.digest})


def mark_decided(session: Session, user: CalendarUserContext) -> None:
    session.execute(_DECIDED, {**_key(user), "policy": user.policy.digest})


def note_error(session: Session, user: CalendarUserContext, *, code: str) -> None:
    """Why the last sync did not come through, for whoever looks at the calendar user."""
    session.execute(_NOTE_ERROR, {**_key(user), "code": code})


def give_up_decisions(session: Session, user: CalendarUserContext, *, now: datetime) -> int:
    """Access has been lost for longer than the tenant's grace: nothing of this user is recorded until they reconnect."""
    given_up = session.execute(_GIVE_UP, {**_key(user), "now": now}).all()
    if given_up:
        session.execute(_DECIDED, {**_key(user), "policy": None})
    return len(given_up)


def announce_changes(session: Session, user: CalendarUserContext) -> None:
    outbox.emit(
        session,
        user.tenant_id,
        "calendar_events.changed",
        {"calendar_user_id": user.id, "watermark": current_watermark(session)},
    )


def announce_lost_access(session: Session, user: CalendarUserContext, *, public_url: str, now: datetime) -> None:
    row = session.get_one(CalendarUser, (user.tenant_id, user.id), populate_existing=True)
    url = reconnect_url(public_url, row.tenant_id, row.id, row.refresh_ciphertext)
    data = calendar_user_document(row, now=now, reconnect_url=url)
    outbox.emit(session, user.tenant_id, "calendar_user.needs_reconnect", data)


def _key(user: CalendarUserContext) -> dict[str, str]:
    return {"tenant_id": user.tenant_id, "id": user.id}
