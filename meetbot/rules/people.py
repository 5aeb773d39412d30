"""The people of an event (P7 to P10): organiser and attendees, no rooms, none who declined."""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from meetbot.domain.addresses import (
    is_calendar_domain,
    is_domain,
    is_written_plainly,
    parse_address,
    rule_domain,
    with_parents,
)
from meetbot.domain.event import Attendee, Event, Response

_NO_NAMES: Final[frozenset[str]] = frozenset()
_DECLINED: Final = Response.DECLINED
"""A constant, because to read a member of an enumeration is slow in Python 3.11, and each attendee needs it."""

_MOST_REMEMBERED: Final = 10_000
_LONGEST_SHOWN: Final = 320
"""RFC 5321, 4.5.3.1: 64 octets, the at sign and 255 more."""


class Person(NamedTuple):
    """One person as the owner of a calendar sees them.

    ``domain`` is "" if the address has none that could exist; such a person is neither external nor internal (P9). Rooms
    and secondary calendars have addresses too, but are not ``human`` (P10). ``shown`` is the identity as decisions show
    it, "" if it is no address.
    """

    identity: str
    domain: str
    domain_and_parents: frozenset[str]
    external: bool
    human: bool
    shown: str


class _Place(NamedTuple):
    """The part of a `Person` that follows from the domain."""

    domain: str
    domain_and_parents: frozenset[str]
    external: bool
    human: bool


class People(NamedTuple):
    """The people of one event, each counted once (P7).

    ``domains_and_parents`` holds their domains and all domains above these (P8). ``internal``: all of them are under an
    internal domain. ``external_count``: how many have a domain that is under none. ``shown``: each as listed, "" for a
    person without an address.
    """

    shown: tuple[str, ...]
    identities: frozenset[str]
    domains: frozenset[str]
    domains_and_parents: frozenset[str]
    size: int
    external_count: int
    internal: bool


_NOBODY: Final = People((), _NO_NAMES, _NO_NAMES, _NO_NAMES, 0, 0, internal=False)


class Viewpoint:
    """The calendar owner's view of people: which is the owner, and who is internal.

    A viewpoint remembers people, because most events of a calendar are with the same people. It is dropped when the work on
    that calendar ends.
    """

    __slots__ = ("_internal_domains", "_met", "_places", "owner")

    def __init__(self, owner_email: str, internal_domains: tuple[str, ...]) -> None:
        owner_domain = parse_address(owner_email)[1]
        self._internal_domains = _internal_domains(internal_domains, owner_domain)
        self._met: dict[str | None, Person] = {}
        self._places: dict[str, _Place] = {}
        self.owner = self.person(owner_email)

    def people_of(self, event: Event) -> People:
        """Return the people of an event."""
        present = self._present(event)
        if not present:
            return _NOBODY
        # One column for each field of `Person`, turned in one go: several times as fast as a loop for each.
        _, domains, domains_and_parents, external, _, shown = zip(*present.values(), strict=True)
        external_count = sum(external)
        known_domains = frozenset(domains)
        return People(
            shown,
            frozenset(present) | self._aliases(event, present),
            known_domains - {""} if "" in known_domains else known_domains,
            _NO_NAMES.union(*set(domains_and_parents)),
            len(present),
            external_count,
            not external_count and "" not in known_domains,
        )

    def _present(self, event: Event) -> dict[str, Person]:
        """All who count, by identity."""
        present: dict[str, Person] = {}
        absent: set[str] = set()
        owner_listed = False
        met = self._met
        for attendee in event.attendees:
            person = met.get(attendee.email) or self._meet(attendee, len(present) + len(absent))
            # Under another address of the account the owner is the same person. A secondary calendar, which can be marked
            # as theirs, is no person.
            if attendee.is_self and person.human:
                owner_listed = True
                person = self.owner
            # `_counts` written out, to save a call: strangers can invite thousands, and make this loop long.
            if person.human and not attendee.resource and attendee.response is not _DECLINED:
                present[person.identity] = person
            else:
                absent.add(person.identity)
        organizer = event.organizer
        if organizer is not None and (organizer.email or organizer.name):
            person = met.get(organizer.email) or self._meet(organizer, 0)
            if organizer.is_self and person.human:
                owner_listed = True
                person = self.owner
            # The list holds the organiser's response; the organiser field does not.
            if person.human and _counts(organizer) and person.identity not in absent:
                present[person.identity] = person
        # Invited through a group, or alone in the event: the owner takes part without an entry.
        if not owner_listed and self.owner.identity not in absent:
            present[self.owner.identity] = self.owner
        return present

    def _aliases(self, event: Event, present: dict[str, Person]) -> frozenset[str]:
        """Under which other addresses the owner is present: a rule may name one of them."""
        if self.owner.identity not in present:
            return _NO_NAMES
        listed = event.attendees if event.organizer is None else (*event.attendees, event.organizer)
        marked = (self.person(one.email) for one in listed if one.is_self and one.email)
        return frozenset(person.identity for person in marked if person.human)

    def person(self, email: str) -> Person:
        """Return the person of an address."""
        known = self._met.get(email)
        if known is None:
            if len(self._met) >= _MOST_REMEMBERED:
                self._met.clear()
            known = self._met[email] = self._stranger(email)
        return known

    def _meet(self, attendee: Attendee, others: int) -> Person:
        if attendee.email:
            return self.person(attendee.email)
        # An entry without an address counts as a person, told apart by name (P7). Each entry without a name is another
        # person, whose key is the number of people before. A space in the key keeps it apart from every address.
        name = (attendee.name or "").strip().casefold()
        identity = f"name {name}" if name else f"number {others}"
        return Person(identity, "", _NO_NAMES, external=False, human=True, shown="")

    def _stranger(self, email: str) -> Person:
        identity, written = parse_address(email)
        place = self._places.get(written) or self._place(written)
        if place.domain and not is_written_plainly(email):
            place = _Place("", place.domain_and_parents, external=False, human=place.human)
        return Person(identity, *place, identity[:_LONGEST_SHOWN] if written else "")

    def _place(self, written: str) -> _Place:
        """What follows from the domain alone. Most people are from few domains."""
        # Text that is no domain but ends in one makes no person internal; a rule that names the domain still matches.
        domain = written if is_domain(written) else ""
        parents = with_parents(written) if written else _NO_NAMES
        external = domain != "" and parents.isdisjoint(self._internal_domains)
        if len(self._places) >= _MOST_REMEMBERED:
            self._places.clear()
        place = self._places[written] = _Place(domain, parents, external, not is_calendar_domain(written))
        return place


def _counts(attendee: Attendee) -> bool:
    return not attendee.resource and attendee.response is not _DECLINED


@functools.lru_cache(maxsize=1024)
def _internal_domains(set_by_tenant: tuple[str, ...], owner_domain: str) -> frozenset[str]:
    """Return the internal domains of the tenant, else the owner's own, in canonical form."""
    usable = frozenset(domain for domain in map(rule_domain, set_by_tenant) if domain)
    if usable or not is_domain(owner_domain):
        return usable
    return frozenset((owner_domain,))
