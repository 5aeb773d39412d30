"""The keys by which one meeting is known, on any calendar. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from meetbot.domain.event import Event
from meetbot.domain.ids import derived_id

# Google gives "this and following" a new UID: the old one with the split's date put before the at sign.
_GOOGLE_SPLIT_SUFFIX = re.compile(r"_R\d{8}(T\d{6})?(?=@)")


def event_id(tenant_id: str, calendar_user_id: str, calendar_id: str, provider_event_id: str) -> str:
    """Return the public id of an event, the same however often the event changes."""
    return derived_id("evt", tenant_id, calendar_user_id, calendar_id, provider_event_id)


@dataclass(frozen=True, slots=True)
class Identity:
    """The calendar user that an event belongs to, and the keys of event, meeting and series."""

    tenant_id: str
    calendar_user_id: str
    event_id: str
    meeting_key: str
    series_key: str


def identity_of(event: Event, tenant_id: str, calendar_user_id: str) -> Identity:
    """Return the identity of a calendar user's event."""
    own_id = event_id(tenant_id, calendar_user_id, event.calendar_id, event.provider_event_id)
    return Identity(
        tenant_id=tenant_id,
        calendar_user_id=calendar_user_id,
        event_id=own_id,
        meeting_key=meeting_key(
            tenant_id,
            event.ical_uid,
            event.original_start,
            calendar_user_id=calendar_user_id,
            calendar_id=event.calendar_id,
            provider_event_id=event.provider_event_id,
        ),
        series_key=series_key(tenant_id, event.ical_uid, fallback=own_id),
    )


def meeting_key(
    tenant_id: str,
    ical_uid: str | None,
    original_start: datetime | None,
    *,
    calendar_user_id: str,
    calendar_id: str,
    provider_event_id: str,
) -> str:
    """Return the key that every copy of one meeting shares inside a tenant.

    A UID is unique per series (RFC 5545 3.8.4.7), so the occurrence's original start completes it (RECURRENCE-ID). A meeting
    that is not part of a series has none in its key: moving it keeps the key. Without a UID the event stands alone.
    """
    if ical_uid is None:
        return derived_id("mtg", "event", tenant_id, calendar_user_id, calendar_id, provider_event_id)
    occurrence = "" if original_start is None else whole_seconds(original_start)
    return derived_id("mtg", "uid", tenant_id, ical_uid, occurrence)


def series_key(tenant_id: str, ical_uid: str | None, *, fallback: str) -> str:
    """Return the key that all occurrences of a series share.

    It survives "this and following" edits on Google.
    """
    if ical_uid is None:
        return derived_id("ser", "event", tenant_id, fallback)
    return derived_id("ser", "uid", tenant_id, _GOOGLE_SPLIT_SUFFIX.sub("", ical_uid))


def whole_seconds(value: datetime) -> str:
    """Return an instant as text, in whole seconds since 1970, for keys and digests."""
    return str(int(value.timestamp()))
