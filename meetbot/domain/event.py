"""A calendar event as the rest of the product sees it: one occurrence, in UTC, whatever the provider.

Providers differ in shapes and words; `meetbot.providers` turns each into this. Nothing here knows a provider's JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

LONGEST_TITLE: Final = 4096
"""Characters of a title that are kept. One of exactly this length may have been longer, and what it said is in doubt."""


class Provider(StrEnum):
    GOOGLE = "google"
    MICROSOFT = "microsoft"


class EventStatus(StrEnum):
    """RFC 5545 STATUS values for VEVENT, in lower case."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class Response(StrEnum):
    """An attendee's answer, in the words of RFC 5545 PARTSTAT."""

    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"
    NEEDS_ACTION = "needs_action"


class Visibility(StrEnum):
    DEFAULT = "default"
    PUBLIC = "public"
    PRIVATE = "private"
    CONFIDENTIAL = "confidential"


class Platform(StrEnum):
    """Where a meeting takes place. `NONE` stands for an event without a joinable link."""

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
    """The link a guest bot opens. ``meeting_id`` is the platform's own; ``source`` names the event field it stood in."""

    platform: Platform
    url: str
    meeting_id: str | None
    passcode: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Attendee:
    """One invitee. ``resource`` marks rooms and equipment; ``is_self`` the calendar user, whichever calendar it is on."""

    email: str | None
    name: str | None = None
    response: Response = Response.NEEDS_ACTION
    resource: bool = False
    organizer: bool = False
    is_self: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One occurrence on one calendar.

    Instants are timezone-aware UTC. ``start`` and ``end`` are None only where the provider gave nothing usable;
    such an event is never recorded; an all-day event has midnight UTC of its dates. ``title`` is cut at `LONGEST_TITLE`.
    ``original_start`` is set only for an instance of a series and never changes
    when the instance is moved. ``is_meeting`` is False for focus time, out of office, working location, birthdays and
    drafts: no meetings even with a link inside, unless somebody overrides that. ``owner_response`` is None where the owner
    is not listed.
    ``attendees_complete`` is False where the provider hid or cut the list.
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
