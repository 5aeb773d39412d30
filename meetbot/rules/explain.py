"""Explaining a decision: the facts it carries, to be checked after the event has changed.

Counts, truths and domains are always there. Titles, addresses, times and attributes are there only if a rule in force
names them: a decision must not carry more about people than it was based on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from meetbot.domain.json_objects import Json
from meetbot.rules import vocabulary
from meetbot.rules.fact_tests import MAX_TEXT, WEEKDAYS, StartTest
from meetbot.rules.facts import AttributeValue, DecisionContext, Facts
from meetbot.rules.language import AllOf, AnyOf, Not
from meetbot.rules.time_zones import find_time_zone

_LONGEST_TITLE: Final = 200
_LONGEST_ADDRESS: Final = 320
"""RFC 5321, 4.5.3.1: 64 octets, the at sign and 255 more."""
_MOST_IN_A_LIST: Final = 50
_MOST_ATTRIBUTES: Final = 10
_MOST_ZONES: Final = 10

Read = Callable[[Facts], Json]


@dataclass(frozen=True, slots=True, eq=False)
class NamedFacts:
    """What the rules name of the facts that are not always shown.

    ``reads`` reads each of these but the start. ``zones`` are those in which rules test the start; each is a name or the
    ``$name`` of an attribute. ``zones`` and ``attributes`` are sorted.
    """

    reads: tuple[tuple[str, Read], ...]
    zones: tuple[str, ...]
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _OwnerFacts:
    """What is the same for all events of one calendar user."""

    zones: tuple[tuple[str, ZoneInfo], ...]
    attributes: dict[str, Json]
    missing_attributes: list[Json]


def facts_named_by(predicates: Iterable[BaseModel]) -> NamedFacts:
    """Return what the predicates of all rules in force name."""
    tests = [test for predicate in predicates for test in _tests_in(predicate)]
    facts = {fact for fact, _ in tests}
    return NamedFacts(
        reads=tuple((fact, read) for fact, read in _READS.items() if fact in facts),
        zones=tuple(sorted({test.timezone for _, test in tests if isinstance(test, StartTest)})),
        attributes=tuple(sorted({name for _, test in tests for name in _attributes_in(test)})),
    )


def _tests_in(predicate: BaseModel) -> Iterator[tuple[str, Any]]:
    if isinstance(predicate, AllOf):
        inner = predicate.all
    elif isinstance(predicate, AnyOf):
        inner = predicate.any
    elif isinstance(predicate, Not):
        inner = [predicate.not_]
    else:
        yield from predicate
        return
    for each in inner:
        yield from _tests_in(each)


def _attributes_in(value: Any) -> Iterator[str]:
    if isinstance(value, BaseModel):
        for _, inner in value:
            yield from _attributes_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _attributes_in(inner)
    elif isinstance(value, str) and (name := vocabulary.attribute_in(value)) is not None:
        yield name


def explain_facts(facts: Facts, context: DecisionContext, named: NamedFacts) -> dict[str, Json]:
    """Return the facts of a decision as plain JSON.

    They are bounded in size and hold no characters that a database refuses.
    """
    shown = facts.as_json()
    for fact, read in named.reads:
        shown[fact] = read(facts)
    if not facts.event.is_meeting:
        shown["is_meeting"] = False
    if "title" in shown and facts.title_is_cut:
        shown["title_complete"] = False
    own = _owner_facts(context, named)
    if own.zones:
        shown["start"] = {name: _clock(facts.local_start(zone)) for name, zone in own.zones}
    if own.attributes:
        shown["attributes"] = own.attributes
    if own.missing_attributes:
        shown["missing_attributes"] = own.missing_attributes
    return shown


# --- the event's --------------------------------------------------------------------------------------------------


def _title(facts: Facts) -> str:
    return _storable(facts.event.title, _LONGEST_TITLE)


def _organizer_email(facts: Facts) -> str | None:
    organizer = facts.event.organizer
    return _storable(organizer.email.strip(), _LONGEST_ADDRESS) if organizer and organizer.email else None


def _calendar_id(facts: Facts) -> str:
    return _storable(facts.event.calendar_id, MAX_TEXT)


def _attendee_emails(facts: Facts) -> list[Json]:
    """As they are compared: in lower case, without ``+tag``.

    People without an address are left out.
    """
    return list(filter(None, facts.people.shown[:_MOST_IN_A_LIST]))


_READS: Final[dict[str, Read]] = {
    "title": _title,
    "organizer_email": _organizer_email,
    "calendar_id": _calendar_id,
    "attendee_emails": _attendee_emails,
}


@functools.cache
def _clock(local: tuple[int, int]) -> str | None:
    """``mon 09:30``; there are only so many minutes in a week."""
    weekday, minute = local
    return f"{WEEKDAYS[weekday]} {minute // 60:02}:{minute % 60:02}" if weekday >= 0 else None


# --- the calendar user's ------------------------------------------------------------------------------------------


def _owner_facts(context: DecisionContext, named: NamedFacts) -> _OwnerFacts:
    known = context.memo.shown.get(named)
    if known is None:
        known = context.memo.shown[named] = _new_owner_facts(context, named)
    return known


def _new_owner_facts(context: DecisionContext, named: NamedFacts) -> _OwnerFacts:
    values = context.attributes
    there = [name for name in named.attributes if name in values]
    zones = {zone.key: zone for zone in (_zone(name, context) for name in named.zones) if zone is not None}
    return _OwnerFacts(
        zones=tuple(islice(zones.items(), _MOST_ZONES)),
        attributes={name: _attribute(values[name]) for name in there[:_MOST_ATTRIBUTES]},
        missing_attributes=[name for name in named.attributes if name not in values],
    )


def _zone(name: str, context: DecisionContext) -> ZoneInfo | None:
    attribute = vocabulary.attribute_in(name)
    stated = name if attribute is None else context.attributes.get(attribute)
    return find_time_zone(stated.strip()) if isinstance(stated, str) else None


def _attribute(value: AttributeValue) -> Json:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _storable(value, MAX_TEXT)
    return [_storable(item, MAX_TEXT) for item in value[:_MOST_IN_A_LIST]]


def _storable(text: str, longest: int) -> str:
    """Cut to length, and without what a database refuses: NUL, and halves of surrogate pairs."""
    cut = text[:longest]
    whole = cut if cut.isascii() else cut.encode("utf-8", "replace").decode()
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")
