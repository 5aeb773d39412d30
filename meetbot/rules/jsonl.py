"""Events as JSON in the shape of our API's event resource, read leniently: they come from shells, fixtures and logs.

Names, answers and times may be in Google's or Microsoft's words. What is left out is taken for the ordinary: a
confirmed, timed, single event with its whole attendee list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from tzlocal.windows_tz import win_tz

from meetbot.domain.decision import Override
from meetbot.domain.event import Event, EventStatus, MeetingLink, Platform, Provider, Visibility
from meetbot.domain.own_response import CalendarOwner
from meetbot.links import find_meeting_link
from meetbot.rules.facts import AttributeValue, DecisionContext
from meetbot.rules.line_fields import (
    EVENT_FIELDS,
    BadLine,
    an_object,
    any_true,
    by_our_names,
    every_value,
    squeeze,
    text_in,
    texts_in,
    truth_in,
    word_in,
)
from meetbot.rules.line_people import read_people
from meetbot.rules.time_zones import find_time_zone

_VISIBILITIES: Final = {"normal": "default", "personal": "private"}
_STATUSES: Final = {"canceled": "cancelled"}
_SERIES_TYPES: Final = frozenset(("occurrence", "exception", "seriesmaster"))
_NO_MEETING_TYPES: Final = frozenset(("focustime", "outofoffice", "workinglocation", "birthday"))
_DATE: Final = re.compile(r"\s*\d{4}-?\d{2}-?\d{2}\s*", re.ASCII)
_EXPECTED_TIME: Final = "expected an RFC 3339 time such as 2026-03-02T09:00:00Z"
_WEB: Final = re.compile(r"https?://[^\s/]", re.IGNORECASE)


def read_line(line: object) -> tuple[Event, DecisionContext]:
    """From ``{"event", "owner_email", "internal_domains", "now", "attributes"?, "override"?}``. Raises `BadLine`."""
    document = an_object(line, "")
    owner_email = text_in(document, "owner_email", "")
    if not owner_email.strip():
        raise BadLine("owner_email", "expected a text")
    event = an_object(document.get("event"), "event")
    fields = by_our_names(event, EVENT_FIELDS)
    context = DecisionContext(
        owner_email=owner_email,
        internal_domains=texts_in(document, "internal_domains"),
        attributes=_attributes(document.get("attributes")),
        now=_instant(document.get("now"), "now"),
        override=_override(document.get("override"), "override") or _override(fields.get("override"), "event.override"),
    )
    return _event(event, fields, owner_email), context


def _event(event: Mapping[str, Any], fields: Mapping[str, Any], owner_email: str) -> Event:
    calendar_id = text_in(fields, "calendar_id", "event") or "primary"
    people = read_people(event, fields, CalendarOwner.of(owner_email, calendar_id))
    start, end, original_start = fields.get("start"), fields.get("end"), fields.get("original_start")
    # A date has no time of day, whatever the mark beside it says; and of two marks, the cautious one counts.
    all_day = any_true(every_value(event, EVENT_FIELDS, "all_day"), "event.all_day") or _is_date(start)
    in_series = bool(text_in(fields, "series_id", "event")) or squeeze(fields.get("type")) in _SERIES_TYPES
    return Event(
        provider=word_in(fields, "provider", Provider, Provider.GOOGLE),
        calendar_id=calendar_id,
        provider_event_id=text_in(fields, "provider_event_id", "event"),
        ical_uid=text_in(fields, "ical_uid", "event") or None,
        original_start=_instant_or_none(original_start, "event.original_start", all_day=all_day)
        if original_start
        else None,
        title=text_in(fields, "title", "event"),
        start=_instant_or_none(start, "event.start", all_day=all_day),
        end=_instant_or_none(end, "event.end", all_day=all_day),
        all_day=all_day,
        status=_status(fields),
        organizer=people.organizer,
        attendees=people.attendees,
        is_organizer=people.is_organizer,
        owner_response=people.owner_response,
        recurring=truth_in(fields, "recurring", "event", default=in_series),
        visibility=word_in(fields, "visibility", Visibility, Visibility.DEFAULT, _VISIBILITIES),
        link=_link(fields),
        is_meeting=truth_in(fields, "is_meeting", "event", default=not _is_no_meeting(fields)),
        attendees_complete=people.complete,
    )


# --- the rest of the event --------------------------------------------------------------------------------------------


def _link(fields: Mapping[str, Any]) -> MeetingLink | None:
    url = text_in(fields, "meeting_url", "event").strip()
    named = word_in(fields, "meeting_platform", Platform, Platform.NONE)
    if not url:
        return None
    # The line says that there is a link; where it does not say to which platform, the address often does.
    found = find_meeting_link(Provider.GOOGLE, {"location": url}) if named is Platform.NONE else None
    if found is None and not _WEB.match(url):
        return None
    platform = found.platform if found else named
    return MeetingLink(platform, url, text_in(fields, "meeting_id", "event") or None, None, "meeting_url")


def _is_no_meeting(fields: Mapping[str, Any]) -> bool:
    """In Google's words and in Microsoft's."""
    return squeeze(fields.get("event_type")) in _NO_MEETING_TYPES or truth_in(
        fields, "is_draft", "event", default=False
    )


def _status(fields: Mapping[str, Any]) -> EventStatus:
    if any(truth_in(fields, name, "event", default=False) for name in ("deleted", "cancelled")):
        return EventStatus.CANCELLED
    return word_in(fields, "status", EventStatus, EventStatus.CONFIRMED, _STATUSES)


def _override(value: object, path: str) -> Override | None:
    """``"record"``, or an override resource ``{"recording": "record", …}``."""
    recording = value.get("recording") if isinstance(value, Mapping) else value
    if recording is None:
        return None
    if not isinstance(recording, str) or recording not in tuple(Override):
        raise BadLine(path, 'expected "record", "skip" or null')
    return Override(recording)


def _attributes(value: object) -> dict[str, AttributeValue]:
    attributes = an_object({} if value is None else value, "attributes")
    for name, attribute in attributes.items():
        if isinstance(attribute, list):
            usable = all(isinstance(item, str) for item in attribute)
        else:
            usable = attribute is None or isinstance(attribute, str | int | float | bool)
        if not usable:
            raise BadLine(f"attributes.{name}", "expected a text, a number, a truth value or a list of texts")
    return dict(attributes)


# --- times ------------------------------------------------------------------------------------------------------------


def _instant_or_none(value: object, path: str, *, all_day: bool) -> datetime | None:
    """A text, or the providers' ``{"dateTime", "timeZone"}`` and ``{"date"}``. What is written of an all-day event is its
    date, in whatever zone: it becomes the same date in UTC."""
    zone: tzinfo = UTC
    if isinstance(value, Mapping):
        zone = _zone(value.get("timeZone") or value.get("time_zone"), path)
        value = _moment(value) or value.get("date")
    if value is None:
        return None
    return _written(value, path).replace(tzinfo=UTC) if all_day else _instant(value, path, zone)


def _moment(value: Mapping[str, Any]) -> object:
    return value.get("dateTime") or value.get("date_time")


def _zone(name: object, path: str) -> tzinfo:
    """By its IANA or Windows name; UTC where there is none."""
    if name is None:
        return UTC
    zone = find_time_zone(win_tz.get(name, name)) if isinstance(name, str) else None
    if zone is None:
        raise BadLine(f"{path}.timeZone", "expected a time zone such as Europe/Berlin")
    return zone


def _instant(value: object, path: str, zone: tzinfo = UTC) -> datetime:
    """RFC 3339. A date is its midnight, and a time without an offset is meant, in the zone."""
    written = _written(value, path)
    try:
        return (written.replace(tzinfo=zone) if written.tzinfo is None else written).astimezone(UTC)
    except OverflowError:
        raise BadLine(path, _EXPECTED_TIME) from None


def _written(value: object, path: str) -> datetime:
    """The time as it stands there, with its offset if it has one."""
    if not isinstance(value, str):
        raise BadLine(path, _EXPECTED_TIME)
    try:
        return datetime.fromisoformat(value.strip().upper())
    except ValueError:
        raise BadLine(path, _EXPECTED_TIME) from None


def _is_date(value: object) -> bool:
    if isinstance(value, Mapping):
        value = None if _moment(value) else value.get("date")
    return isinstance(value, str) and _DATE.fullmatch(value) is not None
