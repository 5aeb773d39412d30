"""Read events as customers list them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, text, tuple_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from meetbot.storage.calendar_users import find_calendar_user
from meetbot.storage.tables import CalendarEvent


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list: all that is given must hold.

    ``overlaps_from`` and ``overlaps_to`` bound a half-open window that the event touches. With ``changed_since`` (a
    transaction id, see `meetbot.storage.watermarks`) only events changed by it or later are listed, tombstones among them;
    without it no tombstones.
    """

    overlaps_from: datetime | None = None
    overlaps_to: datetime | None = None
    outcome: str | None = None
    has_meeting_url: bool | None = None
    calendar_id: str | None = None
    changed_since: int | None = None


_NEXT_TRANSACTION = text("select (pg_snapshot_xmax(pg_current_snapshot())::text)::bigint")


def next_transaction(session: Session) -> int:
    """Return the id of the next transaction: none at or above it has begun yet."""
    return int(session.execute(_NEXT_TRANSACTION).scalar_one())


@dataclass(frozen=True, slots=True)
class After:
    """The last row of the page before.

    ``start_at`` orders a plain listing, the id alone a listing of changes: an event that changes while the pages are read
    then keeps its place.
    """

    id: str
    start_at: datetime | None = None


def list_events(
    session: Session,
    tenant_id: str,
    calendar_user_id: str,
    wanted: EventFilter,
    *,
    after: After | None,
    limit: int,
) -> list[CalendarEvent]:
    """Return a page of events, ordered by start, or by id if only changes are wanted."""
    statement = select(CalendarEvent).where(
        CalendarEvent.tenant_id == tenant_id, CalendarEvent.calendar_user_id == calendar_user_id
    )
    statement = _within(statement, wanted)
    if wanted.changed_since is None:
        statement = _in_order_of_start(_live(statement, wanted), after)
    else:
        statement = _in_order_of_id(_changed(statement, wanted, wanted.changed_since), after)
    return list(session.exec(statement.limit(limit)))


Events = SelectOfScalar[CalendarEvent]


def _within(statement: Events, wanted: EventFilter) -> Events:
    if wanted.overlaps_from is not None:
        statement = statement.where(
            or_(col(CalendarEvent.end_at) > wanted.overlaps_from, col(CalendarEvent.start_at) >= wanted.overlaps_from)
        )
    if wanted.overlaps_to is not None:
        statement = statement.where(col(CalendarEvent.start_at) < wanted.overlaps_to)
    if wanted.calendar_id is not None:
        statement = statement.where(col(CalendarEvent.calendar_id) == wanted.calendar_id)
    return statement


def _live(statement: Events, wanted: EventFilter) -> Events:
    return statement.where(~col(CalendarEvent.deleted), *_content(wanted))


def _changed(statement: Events, wanted: EventFilter, horizon: int) -> Events:
    # A tombstone has no content that a filter could ask for, and a customer who mirrors a selection must see it go.
    content = _content(wanted)
    if content:
        matches = content[0] if len(content) == 1 else content[0] & content[1]
        statement = statement.where(or_(col(CalendarEvent.deleted), matches))
    return statement.where(col(CalendarEvent.change_xid) >= horizon)


def _content(wanted: EventFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.outcome is not None:
        found.append(col(CalendarEvent.outcome) == wanted.outcome)
    if wanted.has_meeting_url is not None:
        has = col(CalendarEvent.meeting_url).is_not(None)
        found.append(has if wanted.has_meeting_url else ~has)
    return found


def _in_order_of_start(statement: Events, after: After | None) -> Events:
    """Events without a usable start come last."""
    start = func.coalesce(col(CalendarEvent.start_at), text("'infinity'::timestamptz"))
    if after is not None:
        place = after.start_at if after.start_at is not None else text("'infinity'::timestamptz")
        statement = statement.where(tuple_(start, col(CalendarEvent.id)) > tuple_(place, after.id))
    return statement.order_by(start, col(CalendarEvent.id))


def _in_order_of_id(statement: Events, after: After | None) -> Events:
    if after is not None:
        statement = statement.where(col(CalendarEvent.id) > after.id)
    return statement.order_by(col(CalendarEvent.id))


def find_event(session: Session, tenant_id: str, calendar_user_id: str, event_id: str) -> CalendarEvent | None:
    """Return the event, even a tombstone.

    None if it is another calendar user's, or of one that is being erased.
    """
    if find_calendar_user(session, tenant_id, calendar_user_id) is None:
        return None
    row = session.get(CalendarEvent, (tenant_id, event_id))
    return row if row is not None and row.calendar_user_id == calendar_user_id else None


@dataclass(frozen=True, slots=True)
class Copy:
    """One calendar's copy of a meeting.

    ``claimed`` is set if its calendar user's claim rests on this copy.
    """

    calendar_user_id: str
    event_id: str
    outcome: str
    reason: str
    claimed: bool


_MAX_COPIES = 500
_COPIES = text(
    """
    select e.calendar_user_id, e.id, e.outcome, e.reason, coalesce(c.event_id = e.id, false)
      from calendar_event e
      left join bot_claim c on c.tenant_id = e.tenant_id and c.meeting_key = e.meeting_key
                           and c.calendar_user_id = e.calendar_user_id
     where e.tenant_id = :tenant_id and e.meeting_key = :meeting_key and not e.deleted
     order by e.calendar_user_id, e.id
     limit :limit
    """
)


def copies_of_meeting(session: Session, tenant_id: str, meeting_key: str) -> list[Copy]:
    """Return all copies of the meeting in the tenant that are still on their calendars."""
    values = {"tenant_id": tenant_id, "meeting_key": meeting_key, "limit": _MAX_COPIES}
    return [Copy(*row) for row in session.execute(_COPIES, values)]
