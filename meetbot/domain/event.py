"""A calendar event as the product sees it: one occurrence, in UTC, whatever the provider.

Providers differ in shapes and words; `meetbot.providers` turns each into this. Nothing here knows a provider's JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

LONGEST_TITLE: Final = 4096
"""Characters of a title that are kept. A title of exactly this length may have been longer."""


class Provider(StrEnum):
    """The calendar providers."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"


class EventStatus(StrEnum):
    """RFC 5545 STATUS values for VEVENT, in lower case."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class Response(StrEnum):
    """An attendee's response, in the words of RFC 5545 PARTSTAT."""

    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"
    NEEDS_ACTION = "needs_action"


class Visibility(StrEnum):
    """Who may see an event's details, in the words of Google and RFC 5545 CLASS."""

    DEFAULT = "default"
    PUBLIC = "public"
    PRIVATE = "private"
    CONFIDENTIAL = "confidential"


class Platform(StrEnum):
    """The conferencing service of a meeting; `NONE` if the event has no joinable link."""

    GOOGLE_MEET = "google_meet"
    MICROSOFT_TEAMS = "microsoft_teams"
    ZOOM = "zoom"
    WEBEX = "webex"
    GOTO = "goto"
    BLUEJEANS = "bluejeans"
    JITSI = "jitsi"
    WHEREBY = "whereby"
    CHIME = "chime"
    RINGCENTRAL = "ringcentral"
    SLACK_HUDDLE = "slack_huddle"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MeetingLink:
    """The link that a guest bot opens.

    ``meeting_id`` is the platform's own; ``source`` names the event field that held the link.
    """

    platform: Platform
    url: str
    meeting_id: str | None
    passcode: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Attendee:
    """One invitee.

    ``resource`` marks rooms and equipment, ``is_self`` the calendar user, on any calendar.
    """

    email: str | None
    name: str | None = None
    response: Response = Response.NEEDS_ACTION
    resource: bool = False
    organizer: bool = False
    is_self: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One occurrence on one calendar.

    Instants are timezone-aware UTC. ``start`` and ``end`` are None only if the provider gave nothing usable, and such an
    event is never recorded; an all-day event has midnight UTC of its dates. ``title`` is cut at `LONGEST_TITLE`.
    ``original_start`` is set only for an instance of a series and never changes when the instance is moved. ``is_meeting`` is
    False for focus time, out of office, working location, birthdays and drafts: no meetings even with a link inside, unless
    an override says so. ``owner_response`` is None if the owner is not listed. ``attendees_complete`` is False if the
    provider hid or cut the list.
    """

    provider: Provider
    calendar_id: str
    provider_event_id: str
    ical_uid: str | None
    original_start: datetime | None
    title: str
    start: datetime | None
    end: datetime | None
    all_day: bool
    status: EventStatus
    organizer: Attendee | None
    attendees: tuple[Attendee, ...]
    is_organizer: bool
    owner_response: Response | None
    recurring: bool
    visibility: Visibility
    link: MeetingLink | None
    is_meeting: bool = True
    attendees_complete: bool = True
    updated: datetime | None = None
