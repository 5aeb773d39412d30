"""Search the events of all calendar users of a tenant, in bounded work.

Times are answered by an index. What no index answers, such as a piece of a title, is looked for in at most `MAX_SCANNED`
events a page, the latest first; the next page goes on where that ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, text, tuple_
from sqlmodel import Session, col

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.storage.tables import Bot, CalendarEvent, CalendarUser

MAX_SCANNED = 20_000

Place = tuple[datetime, str]
"""The place of an event in the order of the search: (start, id)."""


@dataclass(frozen=True, slots=True)
class EventSearch:
    """What to look for: all that is given must hold.

    ``starts_from`` is included, ``starts_before`` is not. ``any_id`` is an id of the event, its meeting or one of its bots,
    its UID or the provider's id. ``room`` is a platform with the meeting's id there. ``words`` are looked for in title, names
    and addresses, as they are.
    """

    starts_from: datetime | None = None
    starts_before: datetime | None = None
    outcome: str | None = None
    reason: str | None = None
    any_id: str | None = None
    words: str | None = None
    meeting_url: str | None = None
    meeting_id: str | None = None
    room: tuple[str, str] | None = None
    ical_uid: str | None = None
    customer_user_id: str | None = None
    calendar_user_id: str | None = None
    with_deleted: bool = False

    @property
    def narrows(self) -> bool:
        """Return whether anything is asked for that no index answers."""
        return self != EventSearch(self.starts_from, self.starts_before, with_deleted=self.with_deleted)


@dataclass(frozen=True, slots=True)
class Found:
    """An event with its user's id at the customer."""

    event: CalendarEvent
    customer_user_id: str


@dataclass(frozen=True, slots=True)
class FoundPage:
    """What a page found; ``looked_up_to`` is where it stopped looking, None at the end."""

    found: Sequence[Found]
    looked_up_to: Place | None


def search_events(
    session: Session, tenant_id: str, wanted: EventSearch, *, after: Place | None, limit: int
) -> FoundPage:
    """Return a page of the events, the latest start first, after the one at ``after``."""
    between = list(_between(tenant_id, wanted, after))
    conditions = [*between, *_conditions(wanted)]
    # Where only times are asked for, the first events that are looked at fill the page.
    last = _last_to_look_at(session, between) if wanted.narrows else None
    if last is not None:
        conditions.append(last <= _PLACE)
    if wanted.any_id is not None:
        conditions.append(_has_id(session, tenant_id, wanted.any_id))
    statement = select(CalendarEvent, col(CalendarUser.customer_user_id)).join(CalendarUser, _IS_ITS_USER)
    rows = session.execute(_latest_first(statement.where(*conditions)).limit(limit))
    return FoundPage([Found(event, customer_user_id) for event, customer_user_id in rows], last)


_PLACE: Any = tuple_(col(CalendarEvent.start_at), col(CalendarEvent.id))
# An event of a calendar user that is being erased is not shown any more.
_IS_ITS_USER = (
    (col(CalendarUser.tenant_id) == col(CalendarEvent.tenant_id))
    & (col(CalendarUser.id) == col(CalendarEvent.calendar_user_id))
    & (col(CalendarUser.state) != CalendarUserStatus.DISCONNECTING.value)
)


def _latest_first(statement: Any) -> Any:
    return statement.order_by(col(CalendarEvent.start_at).desc(), col(CalendarEvent.id).desc())


def _between(tenant_id: str, wanted: EventSearch, after: Place | None) -> Iterator[Any]:
    """Yield the conditions that the index answers."""
    start = col(CalendarEvent.start_at)
    yield col(CalendarEvent.tenant_id) == tenant_id
    # One without a usable start has no place in the order.
    yield start.is_not(None)
    if wanted.starts_from is not None:
        yield start >= wanted.starts_from
    if wanted.starts_before is not None:
        yield start < wanted.starts_before
    if after is not None:
        yield after > _PLACE


def _last_to_look_at(session: Session, between: Sequence[Any]) -> Place | None:
    """Return the place of the last event that a page looks at, None if there are fewer."""
    statement = select(col(CalendarEvent.start_at), col(CalendarEvent.id)).where(*between)
    found = session.execute(_latest_first(statement).offset(MAX_SCANNED - 1).limit(1)).one_or_none()
    return None if found is None else (found[0], found[1])


_EQUAL = {
    "outcome": CalendarEvent.outcome,
    "reason": CalendarEvent.reason,
    "meeting_url": CalendarEvent.meeting_url,
    "meeting_id": CalendarEvent.meeting_id,
    "ical_uid": CalendarEvent.ical_uid,
    "calendar_user_id": CalendarEvent.calendar_user_id,
    "customer_user_id": CalendarUser.customer_user_id,
}
# Literal, in any letter case. The keys of the people's JSON are no text of theirs.
_HAS_WORDS = """
    (strpos(lower(calendar_event.title), lower(:words)) > 0
     or strpos(lower(concat_ws(' ', calendar_event.organizer ->> 'name', calendar_event.organizer ->> 'email')),
               lower(:words)) > 0
     or exists (select 1 from jsonb_array_elements(calendar_event.attendees) person
                 where strpos(lower(concat_ws(' ', person ->> 'name', person ->> 'email')), lower(:words)) > 0))
"""


def _conditions(wanted: EventSearch) -> Iterator[Any]:
    for name, column in _EQUAL.items():
        value = getattr(wanted, name)
        if value is not None:
            yield col(column) == value
    if wanted.room is not None:
        yield tuple_(col(CalendarEvent.meeting_platform), col(CalendarEvent.meeting_id)) == wanted.room
    if wanted.words is not None:
        yield text(_HAS_WORDS).bindparams(words=wanted.words)
    if not wanted.with_deleted:
        yield ~col(CalendarEvent.deleted)


def _has_id(session: Session, tenant_id: str, any_id: str) -> Any:
    bots = select(col(Bot.meeting_key)).where(
        col(Bot.tenant_id) == tenant_id, or_(col(Bot.id) == any_id, col(Bot.backend_bot_id) == any_id)
    )
    keys = set(session.execute(bots.limit(10)).scalars()) | {any_id}
    return or_(
        col(CalendarEvent.id) == any_id,
        col(CalendarEvent.meeting_key).in_(sorted(keys)),
        col(CalendarEvent.provider_event_id) == any_id,
        col(CalendarEvent.ical_uid) == any_id,
    )
