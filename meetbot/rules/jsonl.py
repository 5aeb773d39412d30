"""Reading one JSON line of `meetbot rules evaluate`: an event and its context.

The event has the shape of our API's event resource, and only that: a field that the shape does not have is a fault. If it
went by unnoticed, a response or an all-day mark above all, the answer would be about another event. An event as Google or
Microsoft gives it is read by that provider's own normaliser, which the caller hands in.

What is left out or null is taken for the ordinary: a confirmed, timed, single event with its whole attendee list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from meetbot.domain.decision import Override
from meetbot.domain.event import Event, EventStatus, MeetingLink, Platform, Provider, Visibility
from meetbot.domain.own_response import CalendarOwner
from meetbot.domain.written_address import bare_address
from meetbot.links import find_meeting_link
from meetbot.rules.facts import AttributeValue, DecisionContext
from meetbot.rules.json_fields import BadLine, Fields, instant, is_date
from meetbot.rules.json_people import read_people

_LINE_FIELDS: Final = ("event", "owner_email", "internal_domains", "now", "attributes", "override", "provider")
_RAW_LINE_FIELDS: Final = (*_LINE_FIELDS, "calendar_id")

_READ_EVENT_FIELDS: Final = (
    "calendar_id",
    "provider_event_id",
    "ical_uid",
    "original_start",
    "title",
    "start",
    "end",
    "all_day",
    "status",
    "deleted",
    "organizer",
    "attendees",
    "recurring",
    "visibility",
    "meeting_url",
    "meeting_platform",
    "meeting_id",
    "override",
)
_UNREAD_EVENT_FIELDS: Final = (
    "id",
    "calendar_user_id",
    "meeting_url_source",
    "decision",
    "bot_id",
    "bot_expected_at",
    "updated_at",
)
"""Fields by which nothing is decided. They are allowed, so that a line can hold an event as the API answers it."""

_FACT_FIELDS: Final = ("provider", "is_organizer", "response", "is_meeting", "attendees_complete")
"""Facts that an event resource does not hold, by their names in the facts of a decision."""

_EVENT_FIELDS: Final = (*_READ_EVENT_FIELDS, *_UNREAD_EVENT_FIELDS, *_FACT_FIELDS)
_RAW_HINT: Final = '; if this is an event as Google or Microsoft gives it, add "provider" to the line'


class Normaliser(Protocol):
    """Turns an event as a provider gives it into an `Event`."""

    def __call__(self, calendar_id: str, raw: Mapping[str, Any], *, owner_email: str) -> Event | None:
        """Return the event on a calendar of the owner; None for a series master and the like."""


def read_line(line: object, normalisers: Mapping[Provider, Normaliser]) -> tuple[Event, DecisionContext]:
    """Return the event of a line, and the context in which it is decided. Raises `BadLine`.

    A line is ``{"event", "owner_email", "internal_domains", "now", "attributes"?, "override"?}``. With ``"provider"`` its
    event is as that provider gives it, on the calendar ``"calendar_id"`` (the owner's own if left out).
    """
    fields = Fields.of(line, "")
    provider = fields.word("provider", Provider)
    fields.refuse_unknown(_LINE_FIELDS if provider is None else _RAW_LINE_FIELDS)
    owner_email = bare_address(fields.text("owner_email"))
    if not owner_email.strip():
        raise BadLine("owner_email", "expected a text")
    event = Fields.of(fields.get("event"), "event")
    override = _override(fields)
    if provider is None:
        event.refuse_unknown(_EVENT_FIELDS, _RAW_HINT)
        override = override or _override(event)
    context = DecisionContext(
        owner_email=owner_email,
        internal_domains=fields.texts("internal_domains"),
        attributes=_attributes(fields),
        now=instant(fields.get("now"), "now"),
        override=override,
    )
    if provider is None:
        return _event(event, owner_email), context
    calendar_id = fields.text("calendar_id") or "primary"
    found = normalisers[provider](calendar_id, event.values, owner_email=owner_email)
    if found is None:
        raise BadLine("event", "expected one occurrence with its id, not a series")
    return found, context


def _event(event: Fields, owner_email: str) -> Event:
    calendar_id = event.text("calendar_id") or "primary"
    people = read_people(event, CalendarOwner.of(owner_email, calendar_id))
    # A date has no time of day, so it makes an all-day event even if the mark beside it says otherwise.
    all_day = event.truth("all_day") or is_date(event.get("start"))
    cancelled = event.truth("deleted")
    return Event(
        provider=event.word("provider", Provider) or Provider.GOOGLE,
        calendar_id=calendar_id,
        provider_event_id=event.text("provider_event_id"),
        ical_uid=event.text("ical_uid") or None,
        original_start=event.instant("original_start", all_day=all_day),
        title=event.text("title"),
        start=event.instant("start", all_day=all_day),
        end=event.instant("end", all_day=all_day),
        all_day=all_day,
        status=EventStatus.CANCELLED if cancelled else event.word("status", EventStatus) or EventStatus.CONFIRMED,
        organizer=people.organizer,
        attendees=people.attendees,
        is_organizer=people.is_organizer,
        owner_response=people.owner_response,
        recurring=event.truth("recurring"),
        visibility=event.word("visibility", Visibility) or Visibility.DEFAULT,
        link=_link(event),
        is_meeting=event.truth("is_meeting", default=True),
        attendees_complete=event.truth("attendees_complete", default=True),
    )


def _link(event: Fields) -> MeetingLink | None:
    url = event.text("meeting_url").strip()
    platform = event.word("meeting_platform", Platform) or Platform.NONE
    if not url:
        return None
    if platform is Platform.NONE and (found := find_meeting_link(Provider.GOOGLE, {"location": url})) is not None:
        platform = found.platform
    elif platform is Platform.NONE and not url.lower().startswith(("https://", "http://")):
        return None
    return MeetingLink(platform, url, event.text("meeting_id") or None, None, "meeting_url")


def _override(fields: Fields) -> Override | None:
    """``"record"``, or an override resource ``{"recording": "record", …}``."""
    value = fields.get("override")
    recording = value.get("recording") if isinstance(value, Mapping) else value
    if recording is None:
        return None
    if not isinstance(recording, str) or recording not in tuple(Override):
        raise BadLine(fields.path("override"), 'expected "record", "skip" or null')
    return Override(recording)


def _attributes(fields: Fields) -> dict[str, AttributeValue]:
    attributes = {} if fields.get("attributes") is None else Fields.of(fields.get("attributes"), "attributes").values
    for name, attribute in attributes.items():
        if isinstance(attribute, list):
            usable = all(isinstance(item, str) for item in attribute)
        else:
            usable = attribute is None or isinstance(attribute, str | int | float | bool)
        if not usable:
            raise BadLine(f"attributes.{name}", "expected a text, a number, a truth value or a list of texts")
    return dict(attributes)
