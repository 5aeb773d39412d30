"""The facts of one event, as rules ask for them, and the context in which it is decided.

Facts are worked out once per event; those that only some rules ask for, when they are first asked for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from meetbot.domain.addresses import readable_domain
from meetbot.domain.decision import Override
from meetbot.domain.event import LONGEST_TITLE, Event, Response
from meetbot.domain.json_objects import Json
from meetbot.rules.never_record import NOTHING_LISTED, NeverRecord
from meetbot.rules.people import Viewpoint
from meetbot.rules.text_search import Form, fold, searchable

AttributeValue = str | int | float | bool | None | Sequence[str]

_SHOWN_DOMAINS = 50
_SHOWN_LENGTH = 253
_NOWHERE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """The owner of the calendar, and the time of the decision.

    ``internal_domains`` is the tenant's setting; if it is empty, the owner's own domain is the internal one.
    ``attributes`` are the calendar user's. ``now`` is aware. ``never_record`` is the tenant's list.
    """

    owner_email: str
    internal_domains: tuple[str, ...]
    attributes: Mapping[str, AttributeValue]
    now: datetime
    override: Override | None = None
    never_record: NeverRecord = NOTHING_LISTED
    memo: Memo = field(default_factory=lambda: Memo(), init=False, repr=False, compare=False)

    def with_override(self, override: Override | None) -> DecisionContext:
        """Return the context for an event of the same calendar user with another override.

        It keeps what was worked out already.
        """
        other = replace(self, override=override)
        object.__setattr__(other, "memo", self.memo)
        return other

    def viewpoint(self) -> Viewpoint:
        """Return how this owner sees people; made once per context."""
        if self.memo.viewpoint is None:
            self.memo.viewpoint = Viewpoint(self.owner_email, self.internal_domains)
        return self.memo.viewpoint


class Memo:
    """What follows from a context alone, worked out when the first event asks for it.

    ``tests``: the tests that name attributes, as they are for this calendar user. ``shown``: what decisions show of the
    calendar user.
    """

    __slots__ = ("shown", "tests", "viewpoint")

    def __init__(self) -> None:
        self.viewpoint: Viewpoint | None = None
        self.tests: dict[object, Callable[[Facts], bool]] = {}
        self.shown: dict[object, Any] = {}


class Facts:
    """The facts of one event, as the rules' tests read them.

    If the provider hid or cut the attendee list, some facts are only bounded: then ``internal`` and its like say
    what is certain, ``internal_possible`` and its like what cannot be excluded. With a complete list the two agree.
    """

    __slots__ = (
        "_folded_title",
        "_local_starts",
        "_searchable_title",
        "all_day",
        "attendee_count",
        "attendee_count_most",
        "attributes",
        "calendar_id",
        "complete",
        "duration_minutes",
        "event",
        "external",
        "external_count",
        "external_count_most",
        "external_possible",
        "internal",
        "internal_possible",
        "is_organizer",
        "memo",
        "one_to_one",
        "one_to_one_possible",
        "organizer_domain",
        "organizer_domains",
        "organizer_identity",
        "people",
        "platform",
        "provider",
        "recurring",
        "response",
        "title_is_cut",
        "visibility",
    )

    def __init__(self, event: Event, context: DecisionContext) -> None:
        self.event = event
        self._folded_title: str | None = None
        self._searchable_title: tuple[Form, ...] | None = None
        self._local_starts: dict[ZoneInfo, tuple[int, int]] | None = None
        self.attributes = context.attributes
        self.memo = context.memo
        self._learn_event(event)
        self._learn_people(event, context)

    def _learn_event(self, event: Event) -> None:
        self.all_day = event.all_day
        self.recurring = event.recurring or event.original_start is not None
        self.is_organizer = event.is_organizer
        self.calendar_id = _folded_id(event.calendar_id)
        self.provider = event.provider._value_
        self.visibility = event.visibility._value_
        self.platform = event.link.platform._value_ if event.link else "none"
        self.response = _own_response(event)._value_
        self.duration_minutes = _minutes(event.start, event.end)
        # A title of just this length may have been cut: what is not in it, may have been.
        self.title_is_cut = len(event.title) == LONGEST_TITLE

    def _learn_people(self, event: Event, context: DecisionContext) -> None:
        viewpoint = context.viewpoint()
        self.people = people = viewpoint.people_of(event)
        self.complete = complete = event.attendees_complete
        self.attendee_count = people.size
        self.external_count = people.external_count
        self.external = people.external_count > 0
        if complete:
            self.internal = self.internal_possible = people.internal
            self.external_possible = self.external
            self.one_to_one = self.one_to_one_possible = people.size == 2
            self.attendee_count_most: float = people.size
            self.external_count_most: float = people.external_count
        else:
            self.internal = self.one_to_one = False
            self.internal_possible = people.internal
            self.external_possible = True
            self.one_to_one_possible = people.size <= 2
            self.attendee_count_most = self.external_count_most = math.inf
        organizer = event.organizer
        known = viewpoint.person(organizer.email) if organizer and organizer.email else None
        self.organizer_identity = known.identity if known else ""
        self.organizer_domain = known.domain if known else ""
        self.organizer_domains = known.domain_and_parents if known else _NOWHERE

    def folded_title(self) -> str:
        """Return the title, folded for comparing."""
        if self._folded_title is None:
            self._folded_title = fold(self.event.title)
        return self._folded_title

    def searchable_title(self) -> tuple[Form, ...]:
        """Return the title in the forms that patterns search."""
        if self._searchable_title is None:
            self._searchable_title = searchable(self.event.title)
        return self._searchable_title

    def written_organizer(self) -> str:
        """Return the organiser's address as it was written, folded; "" if there is none."""
        organizer = self.event.organizer
        return fold((organizer.email or "").strip()) if organizer else ""

    def organizer_email_spellings(self) -> tuple[str, ...]:
        """Return the spellings of the organiser's address: as written, and without its ``+tag``.

        If its domain can be written in two ways, it is there in both.
        """
        written = self.written_organizer()
        local, at, host = written.rpartition("@")
        if not at or ("+" not in local and host == self.organizer_domain and "xn--" not in host):
            return (written,)
        locals_ = (local, local.partition("+")[0] or local)
        hosts = (host, *self.organizer_domain_spellings())
        return tuple(dict.fromkeys(f"{local}@{host}" for host in hosts for local in locals_))

    def organizer_domain_spellings(self) -> tuple[str, ...]:
        """Return the spellings of the organiser's domain: a network's, and people's if that differs."""
        if "xn--" not in self.organizer_domain:
            return (self.organizer_domain,)
        readable = readable_domain(self.organizer_domain)
        return tuple(dict.fromkeys((readable, fold(readable), self.organizer_domain)))

    def local_start(self, zone: ZoneInfo) -> tuple[int, int]:
        """Return the weekday (Monday is 0) and the minute of the day of the start in a zone.

        An all-day event starts at midnight of its date in every zone (P12).
        """
        if self._local_starts is None:
            self._local_starts = {}
        known = self._local_starts.get(zone)
        if known is None:
            known = self._local_starts[zone] = _weekday_and_minute(self.event, zone)
        return known

    def as_json(self) -> dict[str, Json]:
        """Return the facts that every decision shows: counts, truths and domains.

        No title, name or address is among them.
        """
        people = self.people
        return {
            "internal": self.internal,
            "external": self.external,
            "one_to_one": self.one_to_one,
            "attendee_count": people.size,
            "external_count": people.external_count,
            "attendees_complete": self.complete,
            "attendee_domains": [domain[:_SHOWN_LENGTH] for domain in sorted(people.domains)[:_SHOWN_DOMAINS]],
            "organizer_domain": self.organizer_domain[:_SHOWN_LENGTH] or None,
            "is_organizer": self.is_organizer,
            "response": self.response,
            "recurring": self.recurring,
            "all_day": self.all_day,
            "duration_minutes": self.duration_minutes,
            "platform": self.platform,
            "provider": self.provider,
            "visibility": self.visibility,
        }


@functools.lru_cache(maxsize=4096)
def _folded_id(calendar_id: str) -> str:
    """Fold a calendar's id. A calendar user's events have the same few over and over."""
    return fold(calendar_id)


def _own_response(event: Event) -> Response:
    """The owner's own response.

    An organiser who is not listed comes; anyone else who is not has not responded.
    """
    if event.owner_response is not None:
        return event.owner_response
    return Response.ACCEPTED if event.is_organizer else Response.NEEDS_ACTION


def _minutes(start: datetime | None, end: datetime | None) -> int | float:
    if start is None or end is None:
        return 0
    minutes = (end - start).total_seconds() / 60
    return int(minutes) if minutes.is_integer() else minutes


def _weekday_and_minute(event: Event, zone: ZoneInfo) -> tuple[int, int]:
    start = event.start
    if start is None:
        return (-1, -1)
    if event.all_day:
        # Its date is held as midnight UTC; in another zone that could be another day.
        return start.weekday(), 0
    try:
        local = start.astimezone(zone)
    except OverflowError:
        # On the first and last day that Python can count, a zone may lead out of the calendar.
        local = start
    return local.weekday(), local.hour * 60 + local.minute
