"""People, calendars and meetings, as the sandbox keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel


class Provider(StrEnum):
    """Whose calendar it is."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"


class ResponseStatus(StrEnum):
    """A guest's answer, in Google's words; Graph's are derived from them."""

    NEEDS_ACTION = "needsAction"
    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"


class LinkPosition(StrEnum):
    """The place of the join link. AUTO: where the real providers put it."""

    AUTO = "auto"
    CONFERENCE = "conference"
    LOCATION = "location"
    DESCRIPTION = "description"


class Calendar(BaseModel, extra="forbid"):
    """A calendar of one person.

    ``id`` is Google's (an address); Microsoft's is derived from it. ``access_role`` is one of Google's. ``hidden``: taken out
    of the list in Google's margin. A higher ``sync_epoch`` makes earlier sync tokens invalid.
    """

    id: str
    name: str
    time_zone: str = "UTC"
    primary: bool = False
    access_role: str = "owner"
    hidden: bool = False
    sync_epoch: int = 0


class CalendarShare(BaseModel, extra="forbid"):
    """A calendar of one person in another's list; ``access_role`` is one of Google's."""

    account: str
    owner: str
    calendar: str
    access_role: str
    hidden: bool = False


class Account(BaseModel, extra="forbid"):
    """A person. ``subject`` is Google's `sub` or Microsoft's `oid`; ``directory`` is `tid`."""

    email: str
    name: str
    provider: Provider
    subject: str
    directory: str = ""
    calendars: list[Calendar]


class Guest(BaseModel, extra="forbid"):
    """A person or a room on a guest list."""

    email: str
    name: str | None = None
    answer: ResponseStatus = ResponseStatus.NEEDS_ACTION
    resource: bool = False
    optional: bool = False


class Deviation(BaseModel, extra="forbid"):
    """How one occurrence of a series differs from it; None means as the series.

    ``guests`` replaces the whole list.
    """

    original_start: datetime
    cancelled: bool = False
    start: datetime | None = None
    end: datetime | None = None
    title: str | None = None
    description: str | None = None
    location: str | None = None
    meeting_url: str | None = None
    all_day: bool | None = None
    guests: list[Guest] | None = None
    change: int = 0
    updated: datetime = datetime(2000, 1, 1, tzinfo=UTC)


class Meeting(BaseModel, extra="forbid"):
    """A meeting or a series, which exists once for all calendars.

    ``start`` and ``end`` are instants; ``time_zone`` is the zone in which all-day dates and a series are counted. ``change`` is
    the number of the last edit, counted over the whole sandbox.
    """

    key: str
    uid: str
    origin: Provider
    organizer_email: str
    organizer_name: str
    title: str
    description: str = ""
    location: str = ""
    start: datetime
    end: datetime
    all_day: bool = False
    time_zone: str = "UTC"
    recurrence: list[str] = []
    guests: list[Guest] = []
    meeting_url: str | None = None
    link_place: LinkPosition = LinkPosition.AUTO
    link_pending: bool = False
    visibility: str = "default"
    free: bool = False
    event_type: str = "default"
    tentative: bool = False
    draft: bool = False
    guests_hidden: bool = False
    cancelled: bool = False
    sequence: int = 0
    created: datetime
    updated: datetime
    change: int = 0
    deviations: dict[str, Deviation] = {}


class CalendarCopy(BaseModel, extra="forbid"):
    """A meeting on one calendar.

    ``owned``: it stays there whoever is invited. ``removed``: its owner took it off or moved it elsewhere. ``uninvited``: the
    organiser took the owner off the list. ``occurrences``: the original starts to which alone the owner is invited; None: to
    all.
    """

    key: str
    meeting: str
    account: str
    calendar: str
    google_id: str
    graph_key: str
    owned: bool = False
    removed: bool = False
    uninvited: bool = False
    occurrences: list[datetime] | None = None
    change: int = 0
